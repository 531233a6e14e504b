"""Difficulty by pass rate: OmegaPRM's question filter (arXiv 2406.06592, appendix A) and SCAN's base rate."""

from typing import Literal

from pydantic import Field, model_validator

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class Difficulty(Record):
    """Keep problems whose pass rate is in a range, bounds included.

    It is the policy's own pass rate: if solutions are supplied, the policy also solves the problem, at a cost. Below
    a base rate of about 0.4 every Monte Carlo label is guesswork; at 1 there is no error to find.
    """

    kind: Literal["difficulty"] = "difficulty"
    min_pass_rate: float = Field(default=0.0, ge=0, le=1)
    max_pass_rate: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> "Difficulty":
        if self.min_pass_rate > self.max_pass_rate:
            raise ValueError("min_pass_rate is above max_pass_rate")
        return self

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        if (rate := row.pass_rate) is None:
            return Dropped(reason="no rollout with a verdict")
        if rate < self.min_pass_rate:
            return Dropped(reason="too hard")
        if rate > self.max_pass_rate:
            return Dropped(reason="too easy")
        return row
