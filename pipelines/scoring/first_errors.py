"""ProcessBench's metric (arXiv 2412.06559, section 3) and its threshold rule, with AUC and intervals.

A reward model names the first step whose score is below a threshold. The paper takes, for all subsets, the threshold
with the highest F1 on GSM8K (section 4). Without such a subset it is chosen on half of the problems, and everything is
reported on the other half.
"""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stepforge.pipelines.reports.label_accuracy import auc, harmonic_mean
from stepforge.pipelines.scoring.cases import NONE, Case
from stepforge.schemas.record import Record

Flags = NDArray[np.bool_]
CHOSEN_ON = "gsm8k"
BOOTSTRAP = 1000


class SubsetFigures(Record):
    """Figures of one subset, in percent as papers print them."""

    subset: str
    erroneous: int
    clean: int
    error_accuracy: float | None
    """Share of erroneous solutions whose first wrong step is named exactly."""
    correct_accuracy: float | None
    """Share of clean solutions in which no step is named."""
    f1: float | None
    low: float | None = None
    high: float | None = None
    """95 % bootstrap interval over problems."""


class FirstErrors(Record):
    threshold: float | None
    """None if predictions were given."""
    chosen_on: str
    """Where the threshold was chosen."""
    subsets: tuple[SubsetFigures, ...]
    average_f1: float | None
    """Mean of the subsets' F1, as ProcessBench averages."""
    step_auc: float | None
    """AUC of right steps against first wrong ones within a problem, averaged over problems."""
    step_auc_problems: int = Field(ge=0)


def first_below(scores: Sequence[float], threshold: float) -> int:
    return next((i for i, score in enumerate(scores) if score < threshold), NONE)


def in_first_half(case: Case) -> bool:
    """Whether a problem belongs to the half that thresholds and calibrations are learned from."""
    return blake2b((case.problem or case.id).encode("utf-8", "surrogatepass"), digest_size=8).digest()[0] % 2 == 0


def first_errors(cases: Sequence[Case], threshold: float | None = None) -> FirstErrors:
    """Return the figures; ``threshold`` overrides the rule."""
    predicted = all(case.prediction is not None for case in cases)
    judged = list(cases)
    chosen_on = "given"
    if predicted:
        threshold, chosen_on = None, "verdicts of its own"
    elif threshold is None:
        learn = [case for case in cases if case.subset == CHOSEN_ON]
        chosen_on = f"highest F1 on {CHOSEN_ON}"
        if not learn:
            learn, judged = [c for c in cases if in_first_half(c)], [c for c in cases if not in_first_half(c)]
            chosen_on = "highest F1 on half of the problems; figures are from the other half"
        threshold = best_threshold(learn)
    by_subset: dict[str, list[Case]] = defaultdict(list)
    for case in judged:
        by_subset[case.subset].append(case)
    subsets = tuple(_subset_figures(name, mine, threshold) for name, mine in by_subset.items())
    scores = [s.f1 for s in subsets if s.f1 is not None]
    aucs = step_aucs(judged)
    return FirstErrors(
        threshold=threshold,
        chosen_on=chosen_on,
        subsets=subsets,
        average_f1=sum(scores) / len(scores) if scores else None,
        step_auc=sum(aucs) / len(aucs) if aucs else None,
        step_auc_problems=len(aucs),
    )


def _subset_figures(name: str, cases: Sequence[Case], threshold: float | None) -> SubsetFigures:
    erroneous = np.array([case.label != NONE for case in cases])
    exact = np.array([_prediction(case, threshold) == case.label for case in cases])
    found, left = _share(exact[erroneous]), _share(exact[~erroneous])
    f1 = harmonic_mean(found, left)
    low, high = _interval(cases, erroneous, exact) if f1 is not None else (None, None)
    return SubsetFigures(
        subset=name,
        erroneous=int(erroneous.sum()),
        clean=int((~erroneous).sum()),
        error_accuracy=found,
        correct_accuracy=left,
        f1=f1,
        low=low,
        high=high,
    )


def best_threshold(cases: Sequence[Case]) -> float:
    """Return the threshold with the highest F1; of equal ones the middle, between two scores if possible."""
    usable = [case for case in cases if case.scores]
    if not usable:
        return 0.5
    values = sorted({score for case in usable for score in case.scores})
    candidates = np.array([values[0], *((a + b) / 2 for a, b in pairwise(values)), 2.0])
    if len(candidates) > 2000:
        candidates = candidates[np.linspace(0, len(candidates) - 1, 2000).astype(int)]
    labels = np.array([case.label for case in usable])
    exact = np.empty((len(usable), len(candidates)), dtype=bool)
    for row, case in enumerate(usable):
        running = np.minimum.accumulate(np.array(case.scores))
        # the first step below a threshold: the count of running minima at or above it
        first = (running[:, None] >= candidates[None, :]).sum(0)
        exact[row] = np.where(first == len(running), NONE, first) == labels[row]
    wrong = labels != NONE
    found, left = (exact[some].sum(0) / max(1, some.sum()) for some in (wrong, ~wrong))
    f1 = 2 * found * left / np.maximum(found + left, 1e-12)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(candidates[best[len(best) // 2]])


def step_aucs(cases: Sequence[Case]) -> list[float]:
    """Return, by problem, the AUC of right steps against first wrong ones; steps after an error are left out."""
    by_problem: dict[str, tuple[list[float], list[float]]] = {}
    for case in cases:
        right, wrong = by_problem.setdefault(case.problem or case.id, ([], []))
        end = len(case.scores) if case.label == NONE else case.label
        right += case.scores[:end]
        wrong += case.scores[end : end + 1]
    areas = (auc(right, wrong) for right, wrong in by_problem.values())
    return [area for area in areas if area is not None]


def _prediction(case: Case, threshold: float | None) -> int | None:
    if threshold is None:
        return None if case.abstained else case.prediction
    return first_below(case.scores, threshold) if case.scores else None  # unscored cases are never exact


def _share(exact: Flags) -> float | None:
    return float(np.mean(exact)) * 100 if len(exact) else None


def _interval(cases: Sequence[Case], erroneous: Flags, exact: Flags) -> tuple[float, float]:
    problems = np.unique([case.problem or case.id for case in cases], return_inverse=True)[1]
    count = int(problems.max()) + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=BOOTSTRAP)[:, problems]
    found, left = (
        (drawn[:, some] @ exact[some]) / np.maximum(drawn[:, some].sum(1), 1) for some in (erroneous, ~erroneous)
    )
    f1 = 200 * found * left / np.maximum(found + left, 1e-12)
    low, high = np.percentile(f1, [2.5, 97.5])
    return float(low), float(high)
