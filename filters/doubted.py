"""Curation by a reward model: "no error" verdicts that it doubts are withdrawn."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Dropped
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record

DOUBTED = "the reward model doubts a step"


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
