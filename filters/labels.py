"""Curation by labels: drop what the labeler left open, what others contradict, and what a reward model doubts."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Dropped
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.record import Record

DOUBTED = "the reward model doubts a step"


class Decided(Record):
    """Drop a problem when fewer than ``min_solutions`` of its solutions got a verdict."""

    kind: Literal["decided"] = "decided"
    min_solutions: int = Field(default=1, ge=1)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    """Least probability of the verdict, from labelers that give one (`change_point`); others count as certain."""

    def __call__(self, row: LabeledProblem) -> LabeledProblem | Dropped:
        verdicts = [solution.verdict for solution in row.solutions if not solution.verdict.abstained]
        if len(verdicts) < self.min_solutions:
            return Dropped(reason="labeler abstained")
        sure = sum(_confidence(verdict) >= self.min_confidence for verdict in verdicts)
        return row if sure >= self.min_solutions else Dropped(reason="labeler not sure enough")


class Consistent(Record):
    """Drop a problem on which the run's labelers disagree too often."""

    kind: Literal["consistent"] = "consistent"
    min_agreement: float = Field(default=0.5, gt=0, le=1)
    """Least share of the other labelers' verdicts that agree with the first labeler's; without anything to compare, the
    problem is kept."""
    within: int = Field(default=0, ge=0)
    """Steps by which two first errors may differ and still agree."""

    def __call__(self, row: LabeledProblem) -> LabeledProblem | Dropped:
        """Compare the verdicts of every solution; abstentions are not counted, and the oracle is only for audits."""
        agreed = [
            self._agree(solution.verdict, other)
            for solution in row.solutions
            for other in solution.others
            if not (solution.verdict.abstained or other.abstained or other.labeler == "oracle")
        ]
        if agreed and sum(agreed) < self.min_agreement * len(agreed):
            return Dropped(reason="labelers disagree")
        return row

    def _agree(self, one: Verdict, other: Verdict) -> bool:
        if one.first_error is None or other.first_error is None:
            return one.first_error == other.first_error
        return abs(one.first_error - other.first_error) <= self.within


class Doubted(Record):
    """Turn "no error" into an abstention where a step's score is low; drop problems left without a verdict.

    This finds right answers reached through a wrong step, which completions cannot see.
    """

    kind: Literal["doubted"] = "doubted"
    least: float = Field(default=0.5, ge=0, le=1)
    """Score below which a step is doubted."""

    def __call__(self, row: LabeledProblem) -> LabeledProblem | Dropped:
        solutions = tuple(self._kept(solution) for solution in row.solutions)
        if all(solution.verdict.abstained for solution in solutions):
            return Dropped(reason=DOUBTED)
        return row if solutions == row.solutions else row.model_copy(update={"solutions": solutions})

    def _kept(self, solution: LabeledSolution) -> LabeledSolution:
        if not solution.verdict.finds_no_error or min(solution.rollout.scores, default=1.0) >= self.least:
            return solution
        verdict = solution.verdict.model_copy(update={"abstained": True, "reason": DOUBTED})
        return solution.model_copy(update={"verdict": verdict})


def _confidence(verdict: Verdict) -> float:
    """Return a verdict's own probability; the last entry of its posterior is that of no error."""
    if verdict.posterior is None:
        return 1.0
    return verdict.posterior[-1 if verdict.first_error is None else verdict.first_error]
