"""The figures of a run as records; ``report.json`` is a ``Report``. ``label_shape`` explains those of the labels."""

from typing import Annotated

from pydantic import Field

from stepforge.pipelines.reports.counted import Counted, Per
from stepforge.pipelines.reports.examples import ChosenSolution, LossExample
from stepforge.pipelines.run_folder.ledger import Price, StageTotal
from stepforge.pipelines.run_folder.sessions import SessionFigures
from stepforge.pipelines.run_folder.watched import WatchedFigures
from stepforge.pipelines.storage.layout import ShardStage
from stepforge.schemas.interval import Share
from stepforge.schemas.labeled import Cost
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import PolicyIdentity

Ratio = float | None


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


class Agreement(Counted):
    labelers: tuple[str, str]
    both_decide: Annotated[int, Per("both")]
    same: Annotated[Share | None, Per("same", "both")]
    """Of these: same first error, or both none."""
    either_finds_error: Annotated[int, Per("finds")]
    same_step: Annotated[Share | None, Per("same step", "finds")]
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


class PassRate(Counted):
    """How often the policy was right, over the vetted problems."""

    pass_rate: Annotated[Ratio, Per("correct", "correct + wrong")]
    solutions: Annotated[int, Per("correct + wrong + undetermined")]
    undetermined: Annotated[int, Per("undetermined")]


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


class LabelFigures(Counted):
    """Verdicts of one labeler against the oracle; see ``label_accuracy``. None if there is nothing to measure."""

    first_error_accuracy: Annotated[
        Ratio, Per("wrong_answer exact", "wrong_answer", "first error exact, wrong answers")
    ]
    correct_solution_accuracy: Annotated[Ratio, Per("right exact", "right", "right solutions left clean")]
    processbench_f1: Annotated[Ratio, Per(title="ProcessBench F1")] = None
    first_error_within_one: Annotated[Ratio, Per("wrong_answer near", "wrong_answer", "first error, within one step")]
    first_error_accuracy_all_erroneous: Annotated[
        Ratio, Per("wrong_answer exact + lucky exact", "wrong_answer + lucky", "first error exact, all erroneous")
    ]
    processbench_f1_all_erroneous: Annotated[Ratio, Per(title="F1 over all erroneous")] = None
    first_fatal_accuracy: Annotated[Ratio, Per("fatal exact", "fatal", "first fatal error, exact")]
    right_answer_wrong_step_recall: Annotated[Ratio, Per("lucky flagged", "lucky", "right answer, wrong step: flagged")]
    right_answer_wrong_step_precision: Annotated[
        Ratio, Per("lucky flagged", "flagged", "right answer flagged: truly wrong")
    ]
    abstained_share: Annotated[Ratio, Per("abstained", "all", "abstained")]
    wrong_solutions: Annotated[int, Per("wrong_answer")]
    correct_solutions: Annotated[int, Per("right")]
    right_answer_through_wrong_step: Annotated[int, Per("lucky")]
    exact_first_errors: Annotated[int, Per("wrong_answer exact + lucky exact")]
    exact_first_errors_of_wrong_solutions: Annotated[int, Per("wrong_answer exact")]


class AgainstFigures(LabelFigures):
    step_auc_within_problem: Annotated[Ratio, Per(title="step AUC within problem")]
    first_error_places: dict[str, int]
    """Solutions by where the verdict puts the first error: steps after the true one, or in a word."""
    by: dict[str, LabelFigures]


class LabelerFigures(AgainstFigures):
    rollouts_per_solution: Annotated[Ratio, Per(title="rollouts per solution")]
    generated_tokens_per_solution: Annotated[Ratio, Per(title="generated tokens per solution")]
    generated_tokens_per_correct_first_error: Annotated[Ratio, Per(title="generated tokens per correct first error")]


class AuditFigures(Counted):
    """Error rates of the exported labels in one slice."""

    problems: Annotated[int, Per("problems")]
    solutions: Annotated[int, Per("solutions", title="solutions")]
    abstained_share: Annotated[Ratio, Per("abstained", "solutions", "abstained")]
    steps_labeled_right: Annotated[int, Per("right", title="steps right")]
    of_these_wrong: Annotated[Share | None, Per("right mistaken", "right", "of these wrong")]
    steps_labeled_wrong: Annotated[int, Per("wrong", title="steps wrong")]
    of_these_right: Annotated[Share | None, Per("wrong mistaken", "wrong", "of these right")]
    solutions_labeled_exactly: Annotated[Share | None, Per("exact", "decided", "solutions labeled exactly")]


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


class PairFigures(Counted):
    """First errors that make a pair of steps, and how often the pair is right."""

    first_errors: Annotated[int, Per("first errors")]
    with_a_right_step: Annotated[int, Per("with a right step")]
    apart: Annotated[int, Per("apart")]
    checked: Annotated[int, Per("checked")]
    chosen_right_rejected_wrong: Annotated[Share | None, Per("right", "checked")]
    at_the_true_first_error: Annotated[Share | None, Per("placed", "checked")]


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
