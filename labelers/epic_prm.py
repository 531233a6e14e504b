"""EpicPRM's adaptive bisection (arXiv 2503.02382, section 3; released code): start and sample count by difficulty.

A probe of the question gives its solve rate. The harder the question, the earlier the first check (by up to a quarter
of the solution) and the more completions per check: as many as the probe took for its tenth right one, in eighths. A
prefix is lost if its score is below half of the question's own; the score weights each completion by its likelihood
per token (exp of the mean log-probability), or equally if the engine reports none. One completer instead of the
paper's two; the probe is charged.
"""

from collections.abc import Sequence
from math import exp
from typing import Literal

from pydantic import Field, model_validator

from stepforge.labelers.bisection import bisected
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory
from stepforge.labelers.labeling import Search, abstention
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.rollout import Rollout

TOO_HARD = "too few of the probe's completions are right"


class EpicPRM(Search):
    """Bisection adapted to the question's difficulty."""

    kind: Literal["epic_prm"] = "epic_prm"
    probe: int = Field(default=72, ge=1)
    """Completions of the question, the given solutions included."""
    least_right: int = Field(default=11, ge=1)
    """Fewest right ones among them; below this the question is skipped."""
    fewest: int = Field(default=16, ge=1)
    most: int = Field(default=72, ge=1)
    """Fewest and most completions per prefix."""
    tenth: int = Field(default=10, ge=1)
    """The probe's n-th right completion, whose position sets how many completions a prefix takes."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """Share of the question's own score below which a prefix is lost."""

    @model_validator(mode="after")
    def _ordered(self) -> "EpicPRM":
        if self.fewest > self.most:
            raise ValueError("fewest is above most")
        return self

    @property
    def asked_first(self) -> int:
        return self.probe

    async def search(self, path: Trajectory, evidence: Evidence) -> Verdict:
        question = evidence.completions(QUESTION, 0)
        right = sum(r.outcome == "correct" for r in question)
        base = score(question)
        if base is None or right < self.least_right:
            return abstention(self.name, TOO_HARD)
        rate = right / sum(r.outcome != "undetermined" for r in question)

        async def alive(count: int) -> bool | None:
            await evidence.measure(path, count, self.completions(question))
            found = score(evidence.completions(path, count))
            return None if found is None else found >= self.threshold * base

        return await bisected(self.name, path, alive, first_look(len(path.steps), rate))

    def completions(self, probe: Sequence[Rollout]) -> int:
        """Return how many completions a check takes (released code: two completers' probes are counted together)."""
        right = [place for place, rollout in enumerate(probe, 1) if rollout.outcome == "correct"]
        place = right[self.tenth - 1] if len(right) >= self.tenth else self.most
        return min(self.most, max(self.fewest, 8 * -(-place // 8)))


def first_look(steps: int, rate: float) -> int:
    """Return the prefix to ask first: the middle, moved by up to a quarter, later the easier the question."""
    return steps // 2 + round((2 * rate - 1) * (steps // 4))


def score(completions: Sequence[Rollout]) -> float | None:
    """Return the share of right completions, each weighted by its likelihood per token; None without a verdict."""
    weights = [
        (exp(r.mean_logprob) if r.mean_logprob is not None else 1.0, r.outcome == "correct")
        for r in completions
        if r.outcome != "undetermined"
    ]
    total = sum(weight for weight, _ in weights)
    return sum(weight for weight, right in weights if right) / total if total else None
