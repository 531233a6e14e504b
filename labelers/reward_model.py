"""``reward_model``: the first wrong step by the scores of the run's process reward model, as calibrated probabilities.

A score s becomes sigma(slope * logit(s) + intercept), the probability that the step is right given that all before it
are (Platt 1999; Guo et al. 2017, arXiv 1706.04599). ``stepforge score MODEL --on RUN`` fits both numbers on half of the
problems whose truth is known, by the oracle or by people, measures them on the other half, and prints the line for the
run file: no labeler sees a truth. The chance of each first error follows by the chain rule; a wrong final answer
speaks against "no error".
"""

from collections.abc import Sequence
from itertools import accumulate
from math import exp, log
from operator import mul
from typing import ClassVar, Literal

from pydantic import Field

from stepforge.labelers.labeling import TRUNCATED, LabelPart, abstention, labeled_problem, likeliest
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

UNSCORED = "the reward model gave no scores"
UNSURE = "no step is likely enough to be the first error"
MISGRADED = 0.02
"""Chance that the grader or the reference is wrong about a solution's answer."""
EDGE = 1e-6


class Calibration(Record):
    """Maps a score to a probability; by default, the score itself."""

    slope: float = Field(default=1.0, gt=0)
    intercept: float = 0.0

    def probability(self, score: float) -> float:
        """Return the probability that a step with this score is right, given that all before it are."""
        return 1 / (1 + exp(-(self.slope * logit(score) + self.intercept)))


def logit(score: float) -> float:
    """Return the log-odds of a score, kept finite."""
    kept = min(max(score, EDGE), 1 - EDGE)
    return log(kept / (1 - kept))


class RewardModel(LabelPart):
    """Uses the scores that the run's ``scorer`` gave every step."""

    completes = False
    reads_scores: ClassVar[bool] = True
    kind: Literal["reward_model"] = "reward_model"
    calibration: Calibration = Calibration()
    sure: float = Field(default=0.5, ge=0, lt=1)
    """Posterior probability below which it abstains."""
    answer: bool = True
    """Whether a wrong final answer counts as evidence of an error."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        return labeled_problem(self.name, solved, [self.verdict(rollout) for rollout in solved.rollouts], None)

    def verdict(self, rollout: Rollout) -> Verdict:
        if rollout.outcome == "undetermined" or not rollout.steps:
            return abstention(self.name, TRUNCATED)
        if len(rollout.scores) != len(rollout.steps):
            return abstention(self.name, UNSCORED)
        return likeliest(self.name, self.posterior(rollout), self.sure, UNSURE)

    def posterior(self, rollout: Rollout) -> tuple[float, ...]:
        """Return the probability of each first error, and of none last."""
        chances = first_error_chances([self.calibration.probability(score) for score in rollout.scores])
        if not self.answer or rollout.outcome != "wrong":
            return tuple(chances)
        chances[-1] *= MISGRADED
        whole = sum(chances)
        return tuple(chance / whole for chance in chances)


def first_error_chances(right: Sequence[float]) -> list[float]:
    """Return the chance of each first error and of none, given each step's chance of being right after right ones."""
    before = list(accumulate(right, mul, initial=1.0))
    return [*(rest * (1 - chance) for rest, chance in zip(before, right, strict=False)), before[-1]]
