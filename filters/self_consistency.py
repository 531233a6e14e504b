"""Self-consistency (arXiv 2203.11171): the majority answer, and how many agree with it.

A problem without a reference gets the majority answer as its reference, and its rollouts their outcomes. Answers are
grouped as the grader compares them, never by spelling.
"""

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.grading.verdict import decide
from stepforge.grading.votes import answered, equal_answers, sure_votes, vote_shares, voters
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome, Rollout, SolvedProblem


class SelfConsistency(Record):
    """Keep problems whose rollouts agree enough on the answer."""

    kind: Literal["self_consistency"] = "self_consistency"
    min_agreement: float = Field(default=0.5, gt=0, le=1)
    """Smallest share of the rollouts with an answer that must agree, if the reference comes from them; with
    ``calibration``, smallest probability that the majority is right."""
    min_answers: int = Field(default=3, ge=1)
    """Fewest rollouts with a vote for a majority to count. One with a false equation votes for the answer that it comes
    to when calculated right, or has no vote."""
    sharpness: float = Field(default=0.0, ge=0)
    """Votes are weighted by the rollout's mean token probability to this power; 0 counts them equally, 8 favors
    confident ones. Needs an engine that reports log-probabilities."""
    calibration: tuple[tuple[float, float], ...] = ()
    """Pairs of a share and the probability that such a majority is right, both rising; interpolated linearly.
    ``python -m benchmarks.agreement RUN`` measures them on problems whose answer is known."""

    @field_validator("calibration")
    @classmethod
    def _rising(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(points)):
            raise ValueError("shares and probabilities must rise from pair to pair")
        return points

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        """Supply a missing reference; a problem with a verifier needs none."""
        if row.problem.verifier is not None or row.problem.answer is not None:
            return row
        kind, rollouts = row.problem.answer_kind, list(filter(answered, row.rollouts))
        led = equal_answers([rollout.answer or "" for rollout in rollouts], kind)
        first = next(iter(led.values()), "")
        alike = {answer for answer, leader in led.items() if leader == first}
        sure = max(0.5, self.min_agreement)
        if not self.calibration and sure_votes(rollouts, alike, sure, self.sharpness) >= self.min_answers:
            return with_reference(row, first)
        voting = voters(rollouts)
        if len(voting) < self.min_answers:
            return Dropped(reason="too few answers for a majority")
        majority, share = next(iter(vote_shares(voting, kind, self.sharpness).items()))
        if self._calibrated(share) < self.min_agreement:
            return Dropped(reason="no majority answer")
        return with_reference(row, majority)

    def _calibrated(self, share: float) -> float:
        import numpy as np  # not needed to start a run

        shares, probabilities = zip((0.0, 0.0), *self.calibration, strict=True)
        return float(np.interp(share, shares, probabilities)) if self.calibration else share


def with_reference(row: SolvedProblem, answer: str) -> SolvedProblem:
    """Return the row with another reference, and every rollout of it with the outcome under that one."""
    problem = row.problem.model_copy(update={"answer": answer})

    def judged(rollouts: tuple[Rollout, ...]) -> tuple[Rollout, ...]:
        return tuple(r.model_copy(update={"outcome": _outcome(problem, r)}) for r in rollouts)

    update = {"rollouts": judged(row.rollouts), "own": judged(row.own), "searched": judged(row.searched)}
    return row.model_copy(update={"problem": problem, **update})


def _outcome(problem: Problem, rollout: Rollout) -> Outcome:
    if rollout.finish != "stop":
        return "undetermined"
    if rollout.answer is None:
        return rollout.outcome  # no reference changes that
    if rollout.answer == problem.answer:
        return "correct"
    return decide(problem.answer, rollout.answer, problem.answer_kind) or "undetermined"
