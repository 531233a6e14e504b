"""What a labeler said of each recorded solution, beside the truth: the rows that every figure is made from."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stepforge.labelers.evidence.replay import solved_part
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.bench.replay import RecordedGrader, RecordedPolicy, completions_by_prefix
from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.schemas.labeled import Cost, LabeledProblem, Verdict


class BenchProblem(NamedTuple):
    """A recorded problem and where it belongs."""

    row: LabeledProblem
    truths: tuple[Verdict, ...]
    """The oracle's verdict on each solution."""
    slices: tuple[str, ...]
    """Names of the splits and strata that it counts in."""


class Outcome(NamedTuple):
    """What one labeler did with one problem under one seed."""

    problem: int
    """Index of the problem."""
    judged: tuple[Judged, ...]
    """One a solution with a determined outcome."""
    cost: Cost


RECOVERY_BANDS = ((0.02, "below 0.02"), (0.2, "0.02 to 0.2"), (1.01, "above 0.2"))
CHAIN_BANDS = ((4, "2 to 4"), (6, "5 or 6"), (8, "7 or 8"), (1000, "9 and more"))
VETTED = "vetted (base rate at least 0.4)"
UNVETTED = "base rate below 0.4"


def bench_problem(row: LabeledProblem, held_out: Sequence[str], longest: int, seed: int) -> BenchProblem:
    """Return a problem with its oracle verdicts and the slices it counts in."""
    problem = row.problem
    steps = sum(q.needed for q in problem.truth.quantities) + 1 if problem.truth else 0
    truths = tuple(oracle_verdict(problem, s.rollout) for s in row.solutions)
    split = "held out" if problem.source in held_out or steps >= longest else "seen families"
    if split == "seen families" and _tunes(problem.id, seed):
        split = "tuning"
    base = "vetted" if (row.pass_rate or 0) >= 0.4 else "unvetted"
    title = VETTED if base == "vetted" else UNVETTED
    band = next(name for limit, name in CHAIN_BANDS if steps <= limit)
    slices = [split, f"{split}: {title}"]
    if split != "tuning":
        slices += [f"family {problem.source}", f"chain {band}", f"level {problem.difficulty}"]
        slices += [f"family {problem.source}: {title}", f"chain {band}: {title}", "all", f"all: {title}"]
        recovery = _recovery(row, truths)
        if recovery is not None:
            name = next(name for limit, name in RECOVERY_BANDS if recovery < limit)
            slices += [f"recovery {name}", f"recovery {name}: {title}"]
    if split == "held out":
        kind = "held-out family" if problem.source in held_out else "longest chains of other families"
        slices += [kind, f"{kind}: {title}"]
    return BenchProblem(row, truths, tuple(slices))


def replay(part: Any, problems: Sequence[BenchProblem], seed: int) -> Iterable[Outcome]:
    """Run a labeler on every problem's recording."""
    loop = asyncio.new_event_loop()
    try:
        for index, problem in enumerate(problems):
            row = problem.row
            labeled: LabeledProblem = loop.run_until_complete(
                part(solved_part(row), RecordedPolicy(row, seed), RecordedGrader(row), seed=seed)
            )
            yield Outcome(index, judged(problem, [s.verdict for s in labeled.solutions]), labeled.costs[0].cost)
    finally:
        loop.close()


def judged(problem: BenchProblem, verdicts: Sequence[Verdict]) -> tuple[Judged, ...]:
    """Return verdicts beside the truth; truncated solutions have no known end and are left out."""
    return tuple(
        Judged(verdict, truth, solution.rollout.outcome == "correct")
        for solution, truth, verdict in zip(problem.row.solutions, problem.truths, verdicts, strict=True)
        if solution.rollout.outcome != "undetermined"
    )


def _tunes(name: str, seed: int) -> bool:
    from stepforge.schemas.seeds import rng_of

    return rng_of(seed, "tuning", name).random() < 0.4


def _recovery(row: LabeledProblem, truths: Sequence[Verdict]) -> float | None:
    """Return the mean value of the prefixes that end with a solution's first wrong step."""
    known = completions_by_prefix(row)
    values = []
    for solution, truth in zip(row.solutions, truths, strict=True):
        if truth.first_error is None:
            continue
        prefix = "".join(step.text for step in solution.rollout.steps[: truth.first_error + 1])
        outcomes = [r.outcome for r in known.get(prefix, []) if r.outcome != "undetermined"]
        if outcomes:
            values.append(outcomes.count("correct") / len(outcomes))
    return sum(values) / len(values) if values else None
