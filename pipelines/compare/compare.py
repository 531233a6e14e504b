"""Two runs side by side on the problems that both have: differences paired by problem, with 95 % intervals.

A figure is a ratio of sums over problems. Problems are resampled, the same ones for both runs, so a problem's
difficulty cancels out (``pipelines.bench.measure``). Truth is people's verdict on a solution, else the oracle's.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from stepforge.labelers import speaking
from stepforge.pipelines.bench.measure import Array, difference, holm, ratio, resamples, rounded
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.pipelines.reports.people import known_truth
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.terminal.tables import shown, table
from stepforge.schemas.errors import BadInput
from stepforge.schemas.interval import Share, share_of
from stepforge.schemas.labeled import COMPLETIONS, TOKENS, LabeledProblem, Verdict
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
    sums: tuple[int, ...]
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
    known_a, known_b = (dict(_problems(layout, tuple(chain(*figures.values())))) for layout in (a, b))
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


def _figures(labelers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the names of hits and of what they are among in ``_counts``, by figure."""
    found = {
        "right answers": ("correct", "ended"),
        "wrong step found": ("wrong step", "solutions"),
        "abstained": ("abstained", "solutions"),
    }
    for name in ("label", *labelers):
        found[f"{name}: first error exact"] = (f"{name}: wrong_answer exact", f"{name}: wrong_answer")
        found[f"{name}: right solutions left clean"] = (f"{name}: right exact", f"{name}: right")
    found["rollouts per solution"] = ("rollouts", "solutions")
    found["generated tokens per solution"] = ("generated_tokens", "solutions")
    return found


def _counts(row: LabeledProblem) -> Counter[str]:
    """Count marks of the exported label, ``label``, and of each labeler, over the solutions with a known truth."""
    counts = Counter(solutions=len(row.solutions))
    for one in row.costs:
        counts.update(rollouts=one.cost.rollouts, generated_tokens=one.cost.generated_tokens)
    for solution in row.solutions:
        outcome, verdict = solution.rollout.outcome, solution.verdict
        counts.update(correct=outcome == "correct", ended=outcome != "undetermined", abstained=verdict.abstained)
        counts["wrong step"] += verdict.first_error is not None
        truth = known_truth(row.problem, solution.rollout)
        if outcome != "undetermined" and not truth.abstained:
            for name, said in (("label", verdict), *((one.labeler, one) for one in solution.verdicts)):
                counts.update(f"{name}: {mark}" for mark in Judged(said, truth, outcome == "correct").marks)
    return counts


def _problems(layout: Layout, marks: Sequence[str]) -> Iterator[tuple[int, _Problem]]:
    """Yield the problems by id and question: with other settings a family may give an id to another problem."""
    for path in layout.shards("label"):
        for row in read_rows(path, LabeledProblem, without=(*COMPLETIONS, *TOKENS)):
            name, counts = hash((row.problem.id, row.problem.question)), _counts(row)
            labels = {hash(s.rollout.text): _label(s.verdict) for s in row.solutions}
            yield name, _Problem(tuple(counts[mark] for mark in marks), labels)


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
