"""A labeler's verdict on each recorded solution, with the truth: the rows behind every figure."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from stepforge.labelers import Labeler
from stepforge.labelers.evidence.replay import completions_by_prefix, solved_part
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.bench.replay import RecordedGrader, RecordedPolicy
from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.pipelines.reports.people import people_verdict
from stepforge.schemas.labeled import Cost, LabeledProblem, Verdict
from stepforge.schemas.rollout import pass_rate

ABLE = "base rate at least 0.4"
WEAK = "base rate below 0.4"
FREE, LONG = "_free", "_long"
"""End the source of a problem in free and in long wording."""
PROSE = "prose"
"""The wording of everything that no family of the laboratory wrote."""


class BenchProblem(NamedTuple):
    """A recorded problem and where it belongs."""

    row: LabeledProblem
    truths: tuple[Verdict, ...]
    """People's verdict on each solution, else the oracle's; an abstention if there is neither."""
    family: str
    """Family or problem set; a half of the groups where there is only one (``two_parts``)."""
    wording: str
    strata: tuple[str, ...]

    @property
    def solving(self) -> Cost:
        return Cost.of([*(s.rollout for s in self.row.solutions), *self.row.own])


class Outcome(NamedTuple):
    """What one labeler did with one problem under one seed."""

    judged: tuple[Judged, ...]
    """One per solution with a determined outcome."""
    cost: Cost
    reused: int = 0
    """Completions given out a second time, because the recording had no more."""
    asked: int = 0
    """Wrong solutions that a completion of a prefix was drawn for, of ..."""
    askable: int = 0
    """... those with a prefix to ask about: two steps or more."""


def bench_problem(row: LabeledProblem) -> BenchProblem | None:
    """Return a problem with its truth; None if there is none, or if a prefix was not recorded."""
    truths = tuple(people_verdict(s.rollout) or oracle_verdict(row.problem, s.rollout) for s in row.solutions)
    if all(truth.abstained for truth in truths) or not _dense(row):
        return None
    source = row.problem.source
    reading = None if row.problem.truth is None else row.problem.truth.reading
    sentences = "long" if source.endswith(LONG) else "free"
    wording = {"lines": "plain", "sentences": sentences}.get(reading or "", PROSE)
    base = base_rate(row)
    strata = ("all", *(() if base is None else (ABLE if base >= 0.4 else WEAK,)))
    return BenchProblem(row, truths, source.removesuffix(FREE).removesuffix(LONG), wording, strata)


def two_parts(problems: Sequence[BenchProblem]) -> list[BenchProblem]:
    """Return the problems; a single family is split in two by a hash of groups, for cross-validation."""
    if len({p.family for p in problems}) != 1:
        return list(problems)
    halves = [int(sha256(p.row.problem.group.encode()).hexdigest(), 16) % 2 for p in problems]
    return [p._replace(family=f"{p.family}, half {half + 1}") for p, half in zip(problems, halves, strict=True)]


def base_rate(row: LabeledProblem) -> float | None:
    """Return the share of right ones among the samples of the question that are not the labeled solutions."""
    root = [r for r in row.evidence if r.start is not None and r.start.steps == 0]
    known = pass_rate([*row.own, *root])
    return row.pass_rate if known is None else known


def replay(part: Labeler, problems: Sequence[BenchProblem], seed: int) -> Iterator[Outcome]:
    with asyncio.Runner() as runner:
        for problem in problems:
            policy = RecordedPolicy(problem.row, seed)
            labeled: list[LabeledProblem] = []
            runner.run(_label(part, problem.row, policy, seed, labeled))
            solutions = labeled[0].solutions
            verdicts = [solution.verdict for solution in solutions]
            wrong = [s for s in solutions if s.rollout.outcome == "wrong" and len(s.labels) > 1]
            asked = sum(any(label is not None and label.trials for label in s.labels[:-1]) for s in wrong)
            cost = sum((entry.cost for entry in labeled[0].costs), Cost())
            yield Outcome(judged(problem, verdicts), cost, policy.reused, asked, len(wrong))


async def _label(
    part: Labeler, row: LabeledProblem, policy: RecordedPolicy, seed: int, labeled: list[LabeledProblem]
) -> None:  # returns nothing: the runner would write a returned value into an error that it then drops
    labeled.append(await part(solved_part(row), policy, RecordedGrader(row), seed=seed))


def labeled_rows(part: Labeler, problems: Iterable[BenchProblem], seed: int) -> list[LabeledProblem]:
    """Return a labeler's results on recordings, to fit rates to."""
    labeled: list[LabeledProblem] = []
    with asyncio.Runner() as runner:
        for problem in problems:
            runner.run(_label(part, problem.row, RecordedPolicy(problem.row, seed), seed, labeled))
    return labeled


def judged(problem: BenchProblem, verdicts: Sequence[Verdict]) -> tuple[Judged, ...]:
    """Return verdicts with the truth; truncated solutions have no known end and are left out, as are unjudged ones."""
    return tuple(
        Judged(verdict, truth, solution.rollout.outcome == "correct")
        for solution, truth, verdict in zip(problem.row.solutions, problem.truths, verdicts, strict=True)
        if solution.rollout.outcome != "undetermined" and not truth.abstained
    )


def _dense(row: LabeledProblem) -> bool:
    known = completions_by_prefix(row)
    for solution in row.solutions:
        text = ""
        for step in solution.rollout.steps[:-1] if solution.rollout.outcome == "wrong" else ():
            text += step.text
            if text not in known:
                return False
    return True
