"""Figures of the labels themselves; ``label_shape`` says what they mean."""

from stepforge.schemas.interval import Share
from stepforge.schemas.record import Record


class ValueBin(Record):
    low: float
    steps: int
    mean_width: float
    """Of their intervals: 95 % Wilson, or 90 % credible where the labeler has a model of V."""


class Position(Record):
    step: int
    """From 1; the last one represents all later ones."""
    labeled: int
    true: int
    """By the oracle, over the same solutions; 0 where it knows none."""


class CalibrationBin(Record):
    low: float
    verdicts: int
    mean_posterior: float
    right: Share


class Calibration(Record):
    labeler: str
    truth: str
    verdicts: int
    mean_gap: float
    """Mean distance of posterior and share, over bins, weighted (expected calibration error)."""
    bins: tuple[CalibrationBin, ...]


class Agreement(Record):
    labelers: tuple[str, str]
    both_decide: int
    same: Share | None
    """Of these: same first error, or both none."""
    either_finds_error: int
    same_step: Share | None
    """Of these: both name the same step. Agreement on clean solutions is easy; this one is not."""


class HeldOutBin(Record):
    low: float
    completions: int
    mean_value: float
    ended_right: Share


class LabelShape(Record):
    steps: dict[str, int]
    solutions: dict[str, int]
    """By final answer and verdict."""
    values: tuple[ValueBin, ...]
    positions: tuple[Position, ...]
    calibration: tuple[Calibration, ...]
    agreement: tuple[Agreement, ...]
    held_out: tuple[HeldOutBin, ...]
