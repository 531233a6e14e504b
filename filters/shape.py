"""Solutions of an unusable shape: no answer, truncated, too many or too few steps."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem


class Shape(Record):
    """Drop a problem when fewer than ``min_usable`` of its solutions have a usable shape.

    Solutions are never removed one by one: the pass rate is a share of all of them, and dropping the truncated ones
    would raise it.
    """

    kind: Literal["shape"] = "shape"
    max_steps: int = Field(default=64, ge=1)
    min_steps: int = Field(default=1, ge=1)
    min_usable: int = Field(default=1, ge=1)

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        """Drop the row with the most frequent thing that is wrong with its solutions."""
        faults = [self._fault(rollout) for rollout in row.rollouts]
        if faults.count(None) >= self.min_usable:
            return row
        named = [fault for fault in faults if fault is not None]
        return Dropped(reason=max(sorted(set(named)), key=named.count) if named else "no solution")

    def _fault(self, rollout: Rollout) -> str | None:
        if rollout.finish == "error":
            return "engine error"
        if rollout.truncated:
            return "truncated"
        if rollout.answer is None:
            return "no answer"
        if len(rollout.steps) > self.max_steps:
            return "too many steps"
        return "too few steps" if len(rollout.steps) < self.min_steps else None
