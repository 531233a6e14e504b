"""Walk forward until a step has no success: the search in SCAN's released code (arXiv 2509.16548).

The last step is the error if every earlier prefix still succeeds.
"""

from typing import Literal

from pydantic import Field

from stepforge.labelers.evidence.store import Evidence, Trajectory
from stepforge.labelers.labeling import LabelPart, label_wrong
from stepforge.labelers.math_shepherd import no_verdict
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import SolvedProblem


class Sequential(LabelPart):
    """Step by step from the front; right solutions are skipped."""

    kind: Literal["sequential"] = "sequential"
    k: int = Field(default=8, ge=1, le=10_000)
    """Completions at each step."""
    curtailed: bool = True
    """Whether a step's first success ends its completions: the walk is the same in distribution."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        evidence = Evidence(solved, policy, grader, seed)
        return await label_wrong(self.name, solved, evidence, lambda path: self.walk(path, evidence))

    async def walk(self, path: Trajectory, evidence: Evidence) -> Verdict:
        """Return the first step without a success."""
        for count in range(1, len(path.steps)):
            label = await evidence.settle(path, count, self.k, curtailed=self.curtailed)
            if label.hard is None:
                return no_verdict(self.name, count - 1)
            if not label.hard:
                return Verdict(labeler=self.name, first_error=count - 1)
        return Verdict(labeler=self.name, first_error=len(path.steps) - 1)
