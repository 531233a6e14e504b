"""Walk forward until a step has no success: the search in SCAN's released code (arXiv 2509.16548).

The last step is the error if every earlier prefix still succeeds.
"""

from typing import Literal

from pydantic import Field

from stepforge.labelers.evidence.store import Evidence, Trajectory
from stepforge.labelers.labeling import Search, no_verdict
from stepforge.schemas.labeled import Verdict


class Sequential(Search):
    """Step by step from the front; right solutions are skipped."""

    kind: Literal["sequential"] = "sequential"
    k: int = Field(default=8, ge=1, le=10_000)
    """Completions at each step."""
    curtailed: bool = True
    """Whether a step's first success ends its completions: the walk is the same in distribution."""

    async def search(self, path: Trajectory, evidence: Evidence) -> Verdict:
        """Return the first step without a success."""
        for count in range(1, len(path.steps)):
            label = await evidence.settle(path, count, self.k, curtailed=self.curtailed)
            if label.hard is None:
                return no_verdict(self.name, count - 1)
            if not label.hard:
                return Verdict(labeler=self.name, first_error=count - 1)
        return Verdict(labeler=self.name, first_error=len(path.steps) - 1)
