"""How close a score is to a probability: ECE before and after two numbers fitted on half of the problems."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepforge.labelers.reward_model import Calibration, logit
from stepforge.pipelines.scoring.cases import NONE, Case
from stepforge.pipelines.scoring.first_errors import in_first_half
from stepforge.schemas.record import Record

Array = NDArray[np.float64]
BINS = 10
RIDGE = 1e-3
"""Keeps the fit finite if scores separate right from wrong."""
FEWEST = 20
"""Fewest steps in each half for a fit."""


class Bin(Record):
    """Steps with scores of one tenth."""

    low: float
    steps: int
    mean_score: float
    share_right: float


class CalibrationFigures(Record):
    """Judged steps are those up to and including the first wrong one."""

    steps: int
    """Of the held-out half, on which everything here is measured."""
    ece: float
    """Expected calibration error (arXiv 1706.04599), ten bins of equal width."""
    ece_calibrated: float
    brier: float
    brier_calibrated: float
    calibration: Calibration
    """For ``reward_model`` in a run file."""
    table: tuple[Bin, ...]


def calibration_figures(cases: Sequence[Case]) -> CalibrationFigures | None:
    halves = [_steps([c for c in cases if in_first_half(c) is first]) for first in (True, False)]
    if any(len(right) < FEWEST or right.min() == right.max() for _, right in halves):
        return None
    (fit_on, truth), (scores, right) = halves
    found = fitted(fit_on, truth)
    calibrated = np.array([found.probability(score) for score in scores])
    return CalibrationFigures(
        steps=len(scores),
        ece=ece(scores, right),
        ece_calibrated=ece(calibrated, right),
        brier=float(np.mean((scores - right) ** 2)),
        brier_calibrated=float(np.mean((calibrated - right) ** 2)),
        calibration=found,
        table=bins(scores, right),
    )


def fitted(scores: Array, right: Array) -> Calibration:
    """Return the maximum-likelihood slope and intercept (Newton's method on the logistic loss, a little ridge)."""
    x = np.stack([np.array([logit(score) for score in scores]), np.ones(len(scores))], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - right) + RIDGE * (weights - [1.0, 0.0])
        curvature = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        step /= max(1.0, float(np.abs(step).max()))  # where the curve is flat, a full step would overshoot
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return Calibration(slope=round(max(float(weights[0]), 1e-3), 4), intercept=round(float(weights[1]), 4))


def ece(scores: Array, right: Array) -> float:
    return sum(b.steps * abs(b.mean_score - b.share_right) for b in bins(scores, right)) / len(scores)


def bins(scores: Array, right: Array) -> tuple[Bin, ...]:
    """Return the steps by tenths of the score, those with steps."""
    place = np.minimum((scores * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            low=i / BINS,
            steps=int((place == i).sum()),
            mean_score=float(scores[place == i].mean()),
            share_right=float(right[place == i].mean()),
        )
        for i in range(BINS)
        if (place == i).any()
    )


def _steps(cases: Sequence[Case]) -> tuple[Array, Array]:
    scores: list[float] = []
    right: list[float] = []
    for case in cases:
        last = len(case.scores) if case.label == NONE else case.label + 1
        scores += case.scores[:last]
        right += [float(i != case.label) for i in range(len(case.scores[:last]))]
    return np.array(scores), np.array(right)
