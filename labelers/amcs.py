"""AMCS's adaptive sample count (arXiv 2509.24351, released code): bisection whose prefixes stop by a Wilson interval.

Six completions; done if they agree; else more until the interval's half-width is 0.2, or twenty. The direction is still
decided by any success, so the extra completions improve the value's precision, not the label. Omitted: the intervals'
split by clusters of rollouts (mean log-probability, length), and the tree.
"""

from typing import Literal

from pydantic import Field, model_validator

from stepforge.labelers.bisection import bisected
from stepforge.labelers.evidence.store import Evidence, Trajectory
from stepforge.labelers.labeling import Search
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import StepLabel, Verdict


class AMCS(Search):
    """Bisection with a Wilson stop."""

    kind: Literal["amcs"] = "amcs"
    first: int = Field(default=6, ge=1)
    """Completions before the first look."""
    most: int = Field(default=20, ge=1)
    half_width: float = Field(default=0.2, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _ordered(self) -> "AMCS":
        if self.first > self.most:
            raise ValueError("first is above most")
        return self

    async def search(self, path: Trajectory, evidence: Evidence) -> Verdict:
        async def alive(count: int) -> bool | None:
            return (await evidence.until(path, count, self.first, self.most, self.narrow)).hard

        return await bisected(self.name, path, alive)

    def narrow(self, label: StepLabel) -> bool:
        """Whether all agree, or the Wilson interval is narrow (released code: 6, 20, 0.2)."""
        if label.trials < self.first:
            return False
        low, high = wilson(label.successes, label.trials)
        return label.successes in (0, label.trials) or (high - low) / 2 <= self.half_width
