"""Two runs side by side on the problems that both have: differences paired by problem, with 95 % intervals.

A figure is a ratio of sums over problems. Problems are resampled, the same ones for both runs, so a problem's
difficulty cancels out (``pipelines.bench.measure``). Truth is people's verdict on a solution, else the oracle's.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stepforge.labelers import speaking
from stepforge.pipelines.bench.measure import Array, difference, holm, ratio, resamples, rounded
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.label_accuracy import Judged, counted
from stepforge.pipelines.reports.people import known_truth
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.terminal.tables import shown, table
from stepforge.schemas.errors import BadInput
from stepforge.schemas.interval import Share, share_of
from stepforge.schemas.labeled import COMPLETIONS, TOKENS, LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.record import Record

DRAWS = 1000
AT_A_TIME = 4_000_000
"""Weights in memory at a time."""
SEED = 7


class Difference(Record):
    """One figure that both runs have; ``difference`` is the second run's minus the first's."""

    figure: str
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    """Corrected for the number of figures compared (Holm 1979)."""


class Comparison(Record):
    runs: tuple[str, str]
    problems_in_both: int
    problems_only_in: tuple[int, int]
    same_solutions: int
    """Solutions of the same problem with the same text."""
    same_label: Share | None
    """Of these: same first error, or both none, or both abstained."""
    figures: tuple[Difference, ...]


class _Problem(NamedTuple):
    sums: tuple[float, ...]
    """Hits and counts of each figure, alternating."""
    labels: dict[int, int]
    """By hash of a solution's text: its first error, -1 for none, -2 for an abstention."""


def compare(first: AnyPath, second: AnyPath) -> Comparison:
    """Compare two runs.

    Raises BadInput: one is no run folder, or they have no labeled problem in common; RunFailed: a shard is damaged.
    """
    (run_a, a), (run_b, b) = open_run(first), open_run(second)
    names = [part.name for part in speaking(run_a.label)]
    shared = [name for name in names if name in {part.name for part in speaking(run_b.label)}]
    figures = _figures(shared)
    known_a, known_b = (dict(_problems(layout, tuple(figures.values()))) for layout in (a, b))
    both = [name for name in known_a if name in known_b]
    if not both:
        raise BadInput(f"{first} and {second} have no labeled problem in common; runs are paired by id and question")
    sums_a, sums_b = (np.array([known[name].sums for name in both], float) for known in (known_a, known_b))
    pairs = [
        (label, other)
        for name in both
        for text, label in known_a[name].labels.items()
        if (other := known_b[name].labels.get(text)) is not None
    ]
    return Comparison(
        runs=(str(first), str(second)),
        problems_in_both=len(both),
        problems_only_in=(len(known_a) - len(both), len(known_b) - len(both)),
        same_solutions=len(pairs),
        same_label=share_of(sum(x == y for x, y in pairs), len(pairs)),
        figures=_differences(list(figures), sums_a, sums_b),
    )


Counted = Callable[[LabeledProblem], tuple[float, float]]
"""Hits and counts of one figure in one problem."""


def _figures(labelers: Sequence[str]) -> dict[str, Counted]:
    found: dict[str, Counted] = {
        "right answers": _solutions(
            lambda s: s.rollout.outcome == "correct", lambda s: s.rollout.outcome != "undetermined"
        ),
        "wrong step found": _solutions(lambda s: s.verdict.first_error is not None),
        "abstained": _solutions(lambda s: s.verdict.abstained),
    }
    for name in (None, *labelers):
        found[f"{name or 'label'}: first error exact"] = _judged(name, "wrong_answer exact", "wrong_answer")
        found[f"{name or 'label'}: right solutions left clean"] = _judged(name, "right exact", "right")
    found["rollouts per solution"] = _spent("rollouts")
    found["generated tokens per solution"] = _spent("generated_tokens")
    return found


def _solutions(
    test: Callable[[LabeledSolution], bool], among: Callable[[LabeledSolution], bool] = lambda _: True
) -> Counted:
    return lambda row: (sum(test(s) for s in row.solutions if among(s)), sum(map(among, row.solutions)))


def _judged(labeler: str | None, hit: str, among: str) -> Counted:
    """Count over the solutions with a known truth; ``labeler`` None is the exported label's."""

    def counts(row: LabeledProblem) -> tuple[float, float]:
        marks = counted(
            Judged(verdict, truth, s.rollout.outcome == "correct")
            for s in row.solutions
            if s.rollout.outcome != "undetermined" and not (truth := known_truth(row.problem, s.rollout)).abstained
            for verdict in (s.verdict, *(s.others if labeler else ()))
            if labeler in (None, verdict.labeler)
        )
        return marks[hit], marks[among]

    return counts


def _spent(amount: str) -> Counted:
    return lambda row: (sum(getattr(one.cost, amount) for one in row.costs), len(row.solutions))


def _problems(layout: Layout, figures: Sequence[Counted]) -> Iterator[tuple[int, _Problem]]:
    """Yield the problems by id and question: with other settings a family may give an id to another problem."""
    for path in layout.shards("label"):
        for row in read_rows(path, LabeledProblem, without=(*COMPLETIONS, *TOKENS)):
            sums = tuple(number for counted in figures for number in counted(row))
            name = hash((row.problem.id, row.problem.question))
            yield name, _Problem(sums, {hash(s.rollout.text): _label(s.verdict) for s in row.solutions})


def _label(verdict: Verdict) -> int:
    return -2 if verdict.abstained else -1 if verdict.first_error is None else verdict.first_error


def _differences(names: Sequence[str], a: Array, b: Array) -> tuple[Difference, ...]:
    """Return the difference of every figure that both have; ``a`` and ``b`` alternate hits and counts."""
    drawn = [_ratios(a.sum(axis=0)[None], b.sum(axis=0)[None])]
    size = max(1, AT_A_TIME // len(a))
    for start in range(0, DRAWS, size):
        weights = resamples([True] * len(a), min(size, DRAWS - start), SEED + start)[1:]
        drawn.append(_ratios(weights @ a, weights @ b))
    first, second = (np.vstack([one[i] for one in drawn]) for i in (0, 1))
    known = [i for i in range(len(names)) if not np.isnan(second[0, i] - first[0, i])]
    rows = [difference(second[:, i], first[:, i]) for i in known]
    return tuple(
        Difference(figure=names[i], first=rounded(first[0, i]), second=rounded(second[0, i]), p_holm=p, **row)
        for i, row, p in zip(known, rows, holm([row["p"] for row in rows]), strict=True)
    )


def _ratios(a: Array, b: Array) -> tuple[Array, Array]:
    return ratio(a[:, ::2], a[:, 1::2]), ratio(b[:, ::2], b[:, 1::2])


def comparison_text(found: Comparison) -> str:
    only = " and ".join(f"{count} only in {run}" for count, run in zip(found.problems_only_in, found.runs, strict=True))
    both = f"{found.problems_in_both} problems in both ({only}); differences are second minus first, paired by problem"
    rows = (
        (d.figure, d.first, d.second, f"{d.difference:+.3f}", _ends(d), f"{d.p:.3f}", f"{d.p_holm:.3f}")
        for d in found.figures
    )
    lines = [f"first:  {found.runs[0]}", f"second: {found.runs[1]}", both, ""]
    lines.append(table(("figure", "first", "second", "difference", "95 % interval", "p", "p (Holm)"), rows))
    if found.same_label is not None:
        lines += ["", f"{found.same_solutions} solutions have the same text; same label: {shown(found.same_label)}"]
    return "\n".join(lines)


def _ends(found: Difference) -> str:
    return "-" if found.low is None or found.high is None else f"{found.low:+.3f} to {found.high:+.3f}"
