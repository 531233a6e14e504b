"""What a process reward model is examined on, and its figures: ProcessBench's F1 and the AUC of steps in a problem.

The oracle's first wrong step is the truth. A solution is *erroneous* if it has one, whatever its answer
(ProcessBench, arXiv 2412.06559, section 3); the model names the first step whose score is below a threshold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.labelers.oracle import oracle_verdict
from stepforge.schemas.rollout import Rollout, SolvedProblem

Array = NDArray[np.float64]
NONE = -1
"""Stands for "no step" among step numbers."""
THRESHOLDS = tuple(1 / (1 + float(np.exp(-x))) for x in np.arange(-6.0, 6.01, 0.1))


class Case(NamedTuple):
    """A solution to be judged."""

    problem: int
    """Number of its problem within the exam."""
    question: str
    steps: tuple[str, ...]
    first_error: int | None
    answer_correct: bool


class Tally(NamedTuple):
    """Per problem: how many erroneous and clean solutions there are, and how many were judged exactly."""

    erroneous: Array
    found: Array
    clean: Array
    left: Array

    def f1(self, weights: Array | None = None) -> float:
        """Return the harmonic mean of the two accuracies; each problem counts ``weights`` times."""
        w = np.ones_like(self.clean) if weights is None else weights
        found = float(self.found @ w) / max(float(self.erroneous @ w), 1e-9)
        left = float(self.left @ w) / max(float(self.clean @ w), 1e-9)
        return 2 * found * left / (found + left) if found + left else 0.0


def exam(rows: Sequence[SolvedProblem], most: int) -> list[Case]:
    """Return at most ``most`` erroneous and as many clean solutions of each problem, no text twice."""
    cases: list[Case] = []
    for number, row in enumerate(rows):
        kept = {True: 0, False: 0}
        for rollout in {r.text: r for r in row.rollouts if r.outcome != "undetermined" and r.steps}.values():
            case = _case(number, row, rollout)
            kept[case.first_error is None] += 1
            if kept[case.first_error is None] <= most:
                cases.append(case)
    return cases


def _case(number: int, row: SolvedProblem, rollout: Rollout) -> Case:
    return Case(
        problem=number,
        question=row.problem.question,
        steps=tuple(step.text.rstrip("\n") for step in rollout.steps),
        first_error=oracle_verdict(row.problem, rollout).first_error,
        answer_correct=rollout.outcome == "correct",
    )


def first_below(scores: Array, threshold: float) -> NDArray[np.int64]:
    """Return, for each row of ``padded_scores``, the first step below the threshold, or ``NONE``."""
    below = scores < threshold
    return np.where(below.any(1), below.argmax(1), NONE)


def padded_scores(scores: Sequence[Sequence[float]]) -> Array:
    """Return scores as one array, (solutions, longest); after a solution's end nothing is below any threshold."""
    padded = np.full((len(scores), max(map(len, scores))), np.inf)
    for row, given in zip(padded, scores, strict=True):
        row[: len(given)] = given
    return padded


class Answers:
    """The truth about some solutions, ready to be compared with many thresholds."""

    def __init__(self, cases: Sequence[Case], problems: int) -> None:
        self.problems = problems
        self.problem = np.array([case.problem for case in cases])
        self.truth = np.array([NONE if case.first_error is None else case.first_error for case in cases])

    def tally(self, scores: Array, threshold: float) -> Tally:
        """Return the counts for F1, by problem."""
        exact, wrong = first_below(scores, threshold) == self.truth, self.truth != NONE
        return Tally(*(self._count(kept) for kept in (wrong, wrong & exact, ~wrong, ~wrong & exact)))

    def best_threshold(self, scores: Array) -> float:
        """Return the threshold with the highest F1 here; what it is then judged on must be other problems."""
        found = [self.tally(scores, threshold).f1() for threshold in THRESHOLDS]
        best = max(found)
        near = [threshold for f1, threshold in zip(found, THRESHOLDS, strict=True) if f1 >= best - 1e-9]
        return near[len(near) // 2]

    def step_aucs(self, scores: Array) -> Array:
        """Return, by problem, the share of (right step, first wrong step) pairs in the right order; NaN without any.

        Steps after the first wrong one are left out: whether they are right is another question.
        """
        place = np.arange(scores.shape[1])[None, :]
        end = np.where(self.truth == NONE, scores.shape[1], self.truth)[:, None]
        written = np.isfinite(scores)
        areas = np.full(self.problems, np.nan)
        for number in range(self.problems):
            mine = self.problem == number
            right = scores[mine][(place < end[mine]) & written[mine]]
            wrong = scores[mine][(place == end[mine]) & written[mine]]
            if len(right) and len(wrong):
                wins = (right[:, None] > wrong[None, :]) + 0.5 * (right[:, None] == wrong[None, :])
                areas[number] = wins.mean()
        return areas

    def _count(self, kept: NDArray[np.bool_]) -> Array:
        return np.bincount(self.problem[kept], minlength=self.problems).astype(np.float64)
