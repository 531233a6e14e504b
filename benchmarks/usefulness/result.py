"""The benchmark's figures as they are written and printed; an interval is (figure, low, high)."""

from pydantic import Field

from stepforge.schemas.record import Record

Interval = tuple[float, float, float]


class ModelRow(Record):
    """One labeler's reward models in one exam; without cost for the untrained control."""

    condition: str
    labels: str
    exam: str
    f1: Interval
    step_auc: Interval
    f1_by_seed: tuple[float, ...]
    problems: float | None = None
    training_solutions: float | None = None
    labeling_tokens: int | None = None
    sampling_tokens: int | None = None
    exhausted: bool | None = None
    """Whether the budget would have paid for more than there was to label."""
    thresholds: tuple[float, ...] | None = None


class GapRow(Record):
    """F1 of the reference labels less that of others."""

    condition: str
    against: str
    exam: str
    difference: Interval


class BestOfNRow(Record):
    pool: str
    n: int
    way: str
    share_right: Interval


class PolicyRow(Record):
    policy: str
    pool: str
    decoding: str
    problems: int
    training_rows: int
    pass_at_1: Interval
    gain: Interval
    by_seed: tuple[float, ...]


class LabelQuality(Record):
    """Of a labeler, on the problems that every labeler labeled."""

    labels: str
    labeling_tokens_a_problem: float
    accuracies: dict[str, float | int | None]


class PoolSize(Record):
    problems: int
    pass_at_1: float


class ExamSize(Record):
    solutions: int
    erroneous: int


class Drawn(Record):
    pools: dict[str, PoolSize]
    labeled_problems: int
    sampling_tokens_a_labeled_problem: float
    labels: tuple[LabelQuality, ...]


class Result(Record):
    """All figures; a part that was not run is empty."""

    drawn: Drawn | None = None
    exams: dict[str, ExamSize] = Field(default_factory=dict)
    reward_models: tuple[ModelRow, ...] = ()
    differences: tuple[GapRow, ...] = ()
    best_of_n: tuple[BestOfNRow, ...] = ()
    policies: tuple[PolicyRow, ...] = ()
    seconds: dict[str, int] = Field(default_factory=dict)
