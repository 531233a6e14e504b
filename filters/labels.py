"""Curation by labels: what the labeler could not decide does not train anything."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Dropped
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


class Decided(Record):
    """Drop a problem when fewer than ``min_solutions`` of its solutions got a verdict."""

    kind: Literal["decided"] = "decided"
    min_solutions: int = Field(default=1, ge=1)

    def __call__(self, row: LabeledProblem) -> LabeledProblem | Dropped:
        """Count the solutions on which the labeler did not abstain."""
        decided = sum(not solution.verdict.abstained for solution in row.solutions)
        return row if decided >= self.min_solutions else Dropped(reason="labeler abstained")
