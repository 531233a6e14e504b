"""What a finished run of a real model says, as a table with intervals: `python -m benchmarks.real_model runs/gsm8k`.

Solutions of the solve stage: right ones, truncated ones, how long, how often two of one problem begin alike. Where
right ones do, every departure marks an error, and a labeler that compares texts looks better than it is. Labeled
solutions: where each labeler puts the first error, how often labelers agree, and where people put it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

import typer

from benchmarks.embedded_policy.siblings import right_and_any
from benchmarks.measured import with_interval
from stepforge.pipelines.progress.status import fresh_report, open_run
from stepforge.pipelines.reports.people import people_verdict
from stepforge.pipelines.storage.shards import read_rows
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.rollout import SolvedProblem

Row = tuple[str, str]


def main(folder: Path) -> None:
    try:
        print(table(folder))
    except BadInput as error:
        raise SystemExit(str(error)) from None


def table(folder: Path) -> str:
    """Return the table in Markdown. Intervals are Wilson's, as if the solutions of a problem were independent."""
    _, layout = open_run(folder)
    solved = [row for path in layout.shards("solve") for row in read_rows(path, SolvedProblem)]
    labeled = [solution for row in labeled_rows(folder) for solution in row.solutions]
    rows = [*solving(solved), *labeling(labeled), *costs(folder)]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def labeled_rows(folder: Path) -> Iterator[LabeledProblem]:
    """Yield a run's labeled problems, before curation and without completions."""
    _, layout = open_run(folder)
    for path in layout.shards("label"):
        yield from read_rows(path, LabeledProblem, without=COMPLETIONS)


def solving(solved: Sequence[SolvedProblem]) -> Iterator[Row]:
    """Yield what the policy's own solutions are like, also where others' were supplied."""
    own = [[r for r in (row.own or row.rollouts) if r.tokens] for row in solved]
    rollouts = [rollout for group in own for rollout in group]
    if not rollouts:
        return
    yield "problems solved", str(len(solved))
    yield "right solutions of the policy", share(r.outcome == "correct" for r in rollouts)
    yield "cut off at the token limit", share(r.finish == "length" for r in rollouts)
    yield "wrong ones without an answer", share(r.answer is None for r in rollouts if r.outcome == "wrong")
    yield "steps, median and range", spread([len(r.steps) for r in rollouts])
    yield "tokens, median and range", spread([r.tokens for r in rollouts])
    for name, found in right_and_any(own).items():
        yield f"{name} of one problem, word for word", found.text


def labeling(labeled: Sequence[LabeledSolution]) -> Iterator[Row]:
    """Yield where labelers put first errors of wrong solutions, and how often they say the same."""
    wrong = [s for s in labeled if s.rollout.outcome == "wrong"]
    yield "labeled solutions: wrong, all", f"{len(wrong)}, {len(labeled)}"
    for name in verdicts(labeled[0]) if labeled else ():
        said = Counter(place(verdicts(s)[name]) for s in wrong)
        yield f"`{name}`: first wrong step (counted from 1)", ", ".join(f"{k}: {n}" for k, n in sorted(said.items()))
    for one, other in combinations(verdicts(labeled[0]) if labeled else (), 2):
        both = [(verdicts(s)[one], verdicts(s)[other]) for s in wrong]
        spoken = [(a, b) for a, b in both if not a.abstained and not b.abstained]
        yield f"`{one}` and `{other}` name the same step", share(a.first_error == b.first_error for a, b in spoken)
    yield from people(labeled)


def people(labeled: Sequence[LabeledSolution]) -> Iterator[Row]:
    """Yield how often labelers name the step that people name, and nothing where people name nothing."""
    judged = [(s, truth) for s in labeled if (truth := people_verdict(s.rollout)) is not None]
    for name in verdicts(judged[0][0]) if judged else ():
        found = [(verdicts(s)[name], truth) for s, truth in judged]
        bad = [(v, truth) for v, truth in found if truth.first_error is not None]
        yield f"`{name}` names people's first error", share(v.first_error == t.first_error for v, t in bad)
        clean = [v for v, truth in found if truth.first_error is None]
        yield f"`{name}` finds no error where people find none", share(v.finds_no_error for v in clean)


def costs(folder: Path) -> Iterator[Row]:
    report = fresh_report(folder)
    solve = report.stages["solve"].cost
    yield "completions and tokens, solving", f"{solve.rollouts:,}, {solve.generated_tokens:,}"
    for name, cost in report.cost.labelers.items():
        yield f"completions and tokens, `{name}`", f"{cost.rollouts:,}, {cost.generated_tokens:,}"
    yield "engine seconds", f"{sum(stage.engine_seconds for stage in report.stages.values()):,.0f}"


def verdicts(solution: LabeledSolution) -> dict[str, Verdict]:
    """Return all verdicts by labeler, the exported one first."""
    return {verdict.labeler: verdict for verdict in (solution.verdict, *solution.others)}


def place(verdict: Verdict) -> str:
    """Return the step a verdict names, from 1, or what it says instead."""
    if verdict.abstained:
        return "abstained"
    return "none" if verdict.first_error is None else str(verdict.first_error + 1)


def share(hits: Iterable[bool]) -> str:
    """Return a count, a share and its 95 % interval."""
    found = list(hits)
    shown = f"{sum(found)} of {len(found)}"
    return f"{shown}: {with_interval(sum(found), len(found), '.2f')}" if found else shown


def spread(values: Sequence[int]) -> str:
    return f"{math.floor(median(values))} ({min(values)} to {max(values)})"


if __name__ == "__main__":
    typer.run(main)
