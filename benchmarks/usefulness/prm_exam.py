"""What a process reward model is examined on, and ProcessBench's F1.

The oracle's first wrong step is the truth. A solution is *erroneous* if it has one, whatever its answer
(ProcessBench, arXiv 2412.06559, section 3); the model names the first step whose score is below a threshold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.bench.measure import Array
from stepforge.pipelines.exports import Stepwise
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import SolvedProblem

NONE = -1
"""Stands for "no step" among step numbers."""
THRESHOLDS = tuple(1 / (1 + float(np.exp(-x))) for x in np.arange(-6.0, 6.01, 0.1))
Text = tuple[str, tuple[str, ...]]
"""A question and the steps of a solution, without their trailing line breaks."""


class Case(NamedTuple):
    problem: int
    """Number of its problem within the exam."""
    text: Text
    first_error: int | None


class Tally(NamedTuple):
    """Per problem: how many erroneous and clean solutions there are, and how many were judged exactly."""

    erroneous: Array
    found: Array
    clean: Array
    left: Array

    def f1(self, weights: Array) -> Array:
        """Return the harmonic mean of the two accuracies in each resample, a row of ``weights``."""
        found = (weights @ self.found) / np.maximum(weights @ self.erroneous, 1e-9)
        left = (weights @ self.left) / np.maximum(weights @ self.clean, 1e-9)
        result: Array = 2 * found * left / np.maximum(found + left, 1e-9)
        return result


def texts(row: SolvedProblem) -> dict[Text, int | None]:
    """Return the solutions with a verdict, no text twice, with their true first errors."""
    whole = {r.text: r for r in row.rollouts if r.outcome != "undetermined" and r.steps}.values()
    steps = [tuple(step.text.rstrip("\n") for step in r.steps) for r in whole]
    errors = [oracle_verdict(row.problem, r).first_error for r in whole]
    return {(row.problem.question, cut): error for cut, error in zip(steps, errors, strict=True)}


def exam(rows: Sequence[SolvedProblem], most: int) -> list[Case]:
    """Return at most ``most`` erroneous and as many clean solutions of each problem."""
    cases: list[Case] = []
    for number, row in enumerate(rows):
        kept = {True: 0, False: 0}
        for text, error in texts(row).items():
            kept[error is None] += 1
            if kept[error is None] <= most:
                cases.append(Case(number, text, error))
    return cases


def targets(labels: Sequence[LabeledProblem]) -> list[tuple[Text, list[float | None]]]:
    """Return the ``stepwise`` rows as a head learns them: right before the first error, wrong at it, nothing after."""
    found = []
    for row in (row for problem in labels for row in Stepwise(after_first_error="wrong").rows(problem)):
        judged = len(row.labels) if row.first_error < 0 else row.first_error + 1
        learned = [float(label) if i < judged else None for i, label in enumerate(row.labels)]
        found.append(((row.prompt, row.completions), learned))
    return found


def padded_scores(scores: Sequence[Sequence[float]]) -> Array:
    """Return scores as one array, (solutions, longest); after a solution's end nothing is below any threshold."""
    padded = np.full((len(scores), max(map(len, scores))), np.inf)
    for row, given in zip(padded, scores, strict=True):
        row[: len(given)] = given
    return padded


def interval(samples: Array) -> tuple[float, float, float]:
    """Return a figure, which is the first sample, and its 95 % interval, which is that of the others."""
    low, high = np.percentile(samples[1:], [2.5, 97.5])
    return float(samples[0]), float(low), float(high)


class Answers:
    """The truth about some solutions, ready to be compared with many thresholds."""

    def __init__(self, cases: Sequence[Case], problems: int) -> None:
        self.problems = problems
        self.problem = np.array([case.problem for case in cases])
        self.truth = np.array([NONE if case.first_error is None else case.first_error for case in cases])

    def tally(self, scores: Array, threshold: float) -> Tally:
        """Return the counts for F1, by problem, of ``padded_scores``."""
        below, wrong = scores < threshold, self.truth != NONE
        exact = np.where(below.any(1), below.argmax(1), NONE) == self.truth
        return Tally(*(self._count(kept) for kept in (wrong, wrong & exact, ~wrong, ~wrong & exact)))

    def best_threshold(self, scores: Array) -> float:
        """Return the threshold with the highest F1 here; what it is then judged on must be other problems."""
        found = [float(self.tally(scores, threshold).f1(np.ones(self.problems))) for threshold in THRESHOLDS]
        near = [threshold for f1, threshold in zip(found, THRESHOLDS, strict=True) if f1 >= max(found) - 1e-9]
        return near[len(near) // 2]

    def _count(self, kept: NDArray[np.bool_]) -> Array:
        return np.bincount(self.problem[kept], minlength=self.problems).astype(np.float64)
