"""A labeler: blames the last step of every wrong solution. A baseline that samples nothing."""

from typing import ClassVar, Literal

from stepforge.labelers.labeling import TRUNCATED, labeled_problem
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem


class LastStep(Record):
    completes: ClassVar[bool] = False  # so it also works with an engine that cannot continue a text
    kind: Literal["last_step"] = "last_step"

    @property
    def name(self) -> str:
        """The name in reports."""
        return self.kind

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        return labeled_problem(self.name, solved, [self._verdict(rollout) for rollout in solved.rollouts], None)

    def _verdict(self, rollout: Rollout) -> Verdict:
        if rollout.outcome == "undetermined":  # never evidence against a step
            return Verdict(labeler=self.name, first_error=None, abstained=True, reason=TRUNCATED)
        return Verdict(labeler=self.name, first_error=len(rollout.steps) - 1 if rollout.outcome == "wrong" else None)
