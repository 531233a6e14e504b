"""Whole solutions as the policy wrote them: pairs for DPO, single ones for KTO, right ones for SFT.

A solution's value is its outcome, so a right and a wrong one are as far apart as can be. All end where the policy ended
them, so the end of text that trainers append is correct. Supplied solutions are left out: the policy never wrote them.
Right completions found during labeling are used too (``right_paths``).
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stepforge.pipelines.exports.balance import Axis, Evened, first_by_hash
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.exports.contract import Origin, asked, origin, origin_of_path, own_columns_first
from stepforge.pipelines.exports.right_paths import Pick, RightPath, picked, right_paths
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record


@own_columns_first
class PairRow(Origin):
    """A preference pair with an explicit prompt, as TRL's DPO reads it: ``prompt``, ``chosen``, ``rejected``."""

    prompt: str
    """The question in the policy's own prompt."""
    chosen: str
    rejected: str
    kind: str
    """``solution``: they share only the question."""
    certainty: float
    """1: the two values are outcomes, and known exactly."""
    chosen_value: float
    rejected_value: float
    chosen_length: int
    """In characters."""
    rejected_length: int
    step: int | None
    """Null: no single step differs."""
    chosen_labeled: bool
    """Whether the labeler checked the chosen one and found no error; else it is a completion with a right answer."""


@own_columns_first
class KTORow(Origin):
    """One solution and whether it is wanted, as TRL's KTO reads it."""

    prompt: str
    completion: str
    label: bool


@own_columns_first
class SFTRow(Origin):
    """A prompt and its completion; TRL's SFT puts the loss only on the completion."""

    prompt: str
    completion: str
    labeled: bool
    """Whether the labeler checked it and found no error; else it is a completion with a right answer."""


class Preference(Chat, Evened):
    """A right solution against a wrong one of the same problem, as close in length as possible."""

    kind: Literal["preference"] = "preference"
    row = PairRow
    answers = "two"
    needs_completions = True
    max_per_problem: int = Field(default=2, ge=1)
    completions: Pick = "diverse"
    """Which right completions fill in if fewer solutions than ``max_per_problem`` are right."""

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        """Yield pairs in the order of the right solutions, each solution at most once."""
        rejected = wrong_solutions(problem)
        for good in picked(right_paths(problem), self.completions, self.max_per_problem):
            if not rejected:
                return
            bad = min(rejected, key=lambda other: abs(len(other.rollout.text) - len(good.text)))
            rejected.remove(bad)
            yield from self.laid_out(pair_row(problem, good, bad), problem, good.steps, bad.rollout.steps)


class KTO(Chat, Evened):
    """Right and wrong solutions, unpaired; a right answer through a wrong step is neither."""

    kind: Literal["kto"] = "kto"
    row = KTORow
    answers = "one"
    evenness: float = Field(default=1e9, ge=1)
    """Most rows of a class, in multiples of the median class's; by default all rows are kept."""
    even: tuple[Axis, ...] = ("outcome",)
    max_per_problem: int = Field(default=4, ge=1)
    """Of either label."""

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for label, solutions in ((True, right_solutions(problem)), (False, wrong_solutions(problem))):
            found = {
                KTORow(prompt=asked(problem), completion=s.rollout.text, label=label, **origin(problem, s)): s
                for s in solutions
            }
            for row in first_by_hash(list(found), self.max_per_problem):
                yield from self.laid_out(row, problem, found[row].rollout.steps)


class RejectionSampling(Chat):
    """Rejection sampling: right answers in whose steps the labeler found no error."""

    kind: Literal["rejection_sampling"] = "rejection_sampling"
    row = SFTRow
    answers = "one"
    needs_completions = True
    max_per_problem: int = Field(default=4, ge=1)
    completions: Pick = "diverse"
    """Which right completions fill in if fewer solutions than ``max_per_problem`` are right."""

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for path in picked(right_paths(problem), self.completions, self.max_per_problem):
            about = origin_of_path(problem, path.id)
            row = SFTRow(prompt=asked(problem), completion=path.text, labeled=path.labeled, **about)
            yield from self.laid_out(row, problem, path.steps)


def pair_row(problem: LabeledProblem, good: RightPath, bad: LabeledSolution) -> PairRow:
    return PairRow(
        prompt=asked(problem),
        chosen=good.text,
        rejected=bad.rollout.text,
        kind="solution",
        certainty=1.0,
        chosen_value=1.0,
        rejected_value=0.0,
        chosen_length=len(good.text),
        rejected_length=len(bad.rollout.text),
        step=None,
        chosen_labeled=good.labeled,
        **origin_of_path(problem, good.id),
    )


def right_solutions(problem: LabeledProblem) -> list[LabeledSolution]:
    """Return the distinct solutions with a right answer and no error named; the policy's own."""
    return _own(s for s in problem.solutions if s.rollout.outcome == "correct" and s.verdict.finds_no_error)


def wrong_solutions(problem: LabeledProblem) -> list[LabeledSolution]:
    return _own(s for s in problem.solutions if s.rollout.outcome == "wrong")


def _own(solutions: Iterator[LabeledSolution]) -> list[LabeledSolution]:
    return list({s.rollout.text: s for s in solutions if s.rollout.tokens and s.rollout.steps}.values())
