"""Grouping answers that are equal, by the grader's comparison: ``1/2`` and ``\\frac{1}{2}`` are one vote.

A solution that states a false equation has no vote: mistakes that a policy repeats would outvote the truth.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from stepforge.grading.stated import states_false
from stepforge.grading.verdict import decide
from stepforge.schemas.problem import AnswerKind
from stepforge.schemas.rollout import Rollout


def equal_answers(answers: Sequence[str], kind: AnswerKind) -> dict[str, str]:
    """Return for each answer the most frequent spelling that is certainly equal to it."""
    leaders: list[str] = []
    led: dict[str, str] = {}
    for answer, _ in Counter(answers).most_common():
        equal = next((leader for leader in leaders if decide(leader, answer, kind) == "correct"), None)
        if equal is None:
            leaders.append(answer)
        led[answer] = equal or answer
    return led


def voters(rollouts: Iterable[Rollout]) -> list[Rollout]:
    """Return the rollouts that have a say: those that ended by themselves, with an answer and no false equation."""
    return [rollout for rollout in rollouts if answered(rollout) and not refuted(rollout)]


def answered(rollout: Rollout) -> bool:
    """Return whether a rollout ended by itself, with an answer."""
    return rollout.answer is not None and rollout.finish == "stop"


def refuted(rollout: Rollout) -> bool:
    """Return whether a step of a rollout states an equation that is surely false."""
    return any(states_false(step.text) for step in rollout.steps)


def vote_shares(rollouts: Sequence[Rollout], kind: AnswerKind, sharpness: float = 0.0) -> dict[str, float]:
    """Return the share of each answer among ``voters``, the largest first.

    A vote weighs the rollout's mean token probability to the power ``sharpness``: 0 counts votes (arXiv 2203.11171),
    more believes the confident ones (arXiv 2502.06233). Where a log-probability is missing, votes are counted.
    """
    led = equal_answers([rollout.answer or "" for rollout in rollouts], kind)
    chances = [rollout.mean_logprob for rollout in rollouts if rollout.mean_logprob is not None]
    known = len(chances) == len(rollouts)
    most = max(chances, default=0.0)
    weights: defaultdict[str, float] = defaultdict(float)
    for rollout in rollouts:
        chance = rollout.mean_logprob if known and rollout.mean_logprob is not None else most
        weights[led[rollout.answer or ""]] += math.exp(sharpness * (chance - most))
    total = sum(weights.values())
    return {answer: weight / total for answer, weight in sorted(weights.items(), key=lambda item: -item[1])}
