"""The figures of a run as records; ``report.json`` is a ``Report``. ``label_shape`` explains those of the labels."""

from pydantic import Field

from stepforge.pipelines.reports.examples import ChosenSolution, LossExample
from stepforge.pipelines.run_folder.ledger import Price, StageTotal
from stepforge.pipelines.run_folder.sessions import SessionFigures
from stepforge.pipelines.run_folder.watched import WatchedFigures
from stepforge.pipelines.storage.layout import ShardStage
from stepforge.schemas.interval import Share
from stepforge.schemas.labeled import Cost
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import PolicyIdentity


class ValueBin(Record):
    """Steps whose measured value lies in one tenth, from ``low`` on."""

    low: float
    steps: int
    mean_width: float
    """Of their intervals: 95 % Wilson, or 90 % credible where the labeler has a model of V."""


class Position(Record):
    """How many solutions go wrong first at a step."""

    step: int
    """From 1; the last one represents all later ones."""
    labeled: int
    true: int
    """By the oracle, over the same solutions; 0 where it knows none."""


class CalibrationBin(Record):
    """Verdicts whose posterior lies in one tenth, from ``low`` on, and how many of them are right."""

    low: float
    verdicts: int
    mean_posterior: float
    right: Share


class Calibration(Record):
    """One labeler's posterior of its own verdict against a truth."""

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
    """Completions not used for labels, by the tenth of the value previously given to their prefix."""

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


class RunIdentity(Record):
    folder: str
    digest: str
    """Of the settings that decide what shards hold."""
    seed: int
    version: str


class PassRate(Record):
    """How often the policy was right, over the vetted problems."""

    pass_rate: float | None
    solutions: int
    undetermined: int


class SolutionFigures(Record):
    """The fate of labeled problems' solutions: only one with a verdict, and kept, can become a row."""

    labeled: int
    abstained: dict[str, int]
    """Those without a verdict, by the labeler's reason."""
    kept: int
    """Those of problems that every filter kept, with a verdict."""
    repeated: int
    """Those of the kept whose text another one of the same problem has: data sets count them once."""


class ReviewedFigures(Record):
    """What people's findings did to the labels, in a run relabeled by them."""

    solutions: int
    changed: int
    """Those whose label changed, including withdrawn ones."""
    withdrawn: int
    """Those that had a label and have none now."""


POLICY = "policy: "
"""Begins the names of slices by policy, in a run that has several."""


class PolicyFigures(Record):
    identity: PolicyIdentity | None
    pass_rate: dict[str, PassRate]
    long_solutions_in_one_step: int

    @property
    def several(self) -> list[str]:
        return [name.removeprefix(POLICY) for name in self.pass_rate if name.startswith(POLICY)]


class LabelFigures(Record):
    """Verdicts of one labeler against the oracle; see ``label_accuracy``. None if there is nothing to measure."""

    first_error_accuracy: float | None
    correct_solution_accuracy: float | None
    processbench_f1: float | None
    first_error_within_one: float | None
    first_error_accuracy_all_erroneous: float | None
    processbench_f1_all_erroneous: float | None
    first_fatal_accuracy: float | None
    right_answer_wrong_step_recall: float | None
    right_answer_wrong_step_precision: float | None
    abstained_share: float | None
    wrong_solutions: int
    correct_solutions: int
    right_answer_through_wrong_step: int
    exact_first_errors: int
    exact_first_errors_of_wrong_solutions: int


class AgainstFigures(LabelFigures):
    step_auc_within_problem: float | None
    first_error_places: dict[str, int]
    """Solutions by where the verdict puts the first error: steps after the true one, or in a word."""
    by: dict[str, LabelFigures]


class LabelerFigures(AgainstFigures):
    rollouts_per_solution: float | None
    generated_tokens_per_solution: float | None
    generated_tokens_per_correct_first_error: float | None


class AuditFigures(Record):
    """Error rates of the exported labels in one slice."""

    problems: int
    solutions: int
    abstained_share: float | None
    steps_labeled_right: int
    of_these_wrong: Share | None
    steps_labeled_wrong: int
    of_these_right: Share | None
    solutions_labeled_exactly: Share | None


class ErrorSetFigures(Record):
    """Sets of steps that contain people's first error (or "no error") with a stated probability, from one labeler."""

    level: float
    """The chance, over solutions like these."""
    least_posterior: float
    """A step, or "no error", is in the set if its posterior is at least this."""
    calibrated_on: int
    """Solutions that ``least_posterior`` is from; the others measured it."""
    measured_on: int
    held: Share | None
    """How often the set contains people's verdict."""
    mean_size: float


class PairFigures(Record):
    """First errors that make a pair of steps, and how often the pair is right."""

    first_errors: int
    with_a_right_step: int
    apart: int
    checked: int
    chosen_right_rejected_wrong: Share | None
    at_the_true_first_error: Share | None


class DatasetRows(Record):
    kind: str
    rows: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


class DiversityFigures(Record):
    problems: int = 0
    groups: int = 0
    """Templates, or source groups."""
    largest_group: float = 0.0
    """Share of the problems in the largest one."""
    operations: dict[str, float] = Field(default_factory=dict)
    """Share of the problems in whose question, right solutions or reference an operation appears."""
    near_copies: float | None = None
    """Share that nearly repeat an earlier question with the same numbers; None without `rensa`."""
    near_copies_but_for_numbers: float | None = None
    """The same, whatever the numbers: templates filled in again."""


class CostFigures(Cost):
    per_labeled_step: Price | None
    per_kept_row: Price | None
    labelers: dict[str, Cost]
    sessions: tuple[SessionFigures, ...]

    @property
    def seconds(self) -> float:
        return sum(session.seconds for session in self.sessions)


class Report(Record):
    run: RunIdentity
    policy: PolicyFigures
    solutions: SolutionFigures
    labelers: dict[str, LabelerFigures]
    oracle: dict[str, AgainstFigures]
    reviewed: ReviewedFigures | None = None
    """None if the labels are not people's."""
    people: dict[str, AgainstFigures]
    """The same figures against people's labels; empty if nobody judged a solution."""
    audit: dict[str, AuditFigures]
    """By slice, ``all`` first; empty if no problem has a known truth."""
    people_audit: dict[str, AuditFigures]
    people_sets: dict[str, ErrorSetFigures]
    """By labeler with a posterior; empty where people judged fewer than 100 solutions."""
    pairs: PairFigures
    shape: LabelShape
    """Values, first-error positions, label balance, calibration, and agreement of the labelers."""
    chosen: tuple[ChosenSolution, ...]
    losses: tuple[LossExample, ...]
    stages: dict[str, StageTotal]
    failures: dict[ShardStage, dict[str, int]]
    """The most common messages of failed rows, and how many rows each covers."""
    watched: WatchedFigures
    exports: dict[str, DatasetRows]
    diversity: DiversityFigures = DiversityFigures()
    cost: CostFigures
