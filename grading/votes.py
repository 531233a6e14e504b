"""Grouping answers that are equal, by the grader's comparison: ``1/2`` and ``\\frac{1}{2}`` are one vote.

A solution that states a false equation votes for the answer at which its calculations end when they are done right, or
has no vote: mistakes that a policy repeats would outvote the truth.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from stepforge.grading.last_resort import OR_RATHER
from stepforge.grading.stated import recalculated, states_false
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
    """Return the rollouts that have a vote, each with the answer that it votes for."""
    return [vote for rollout in rollouts if answered(rollout) and (vote := _vote(rollout)) is not None]


def answered(rollout: Rollout) -> bool:
    """Whether it gives one answer: of several values in a sentence, which one is meant is not known."""
    return rollout.answer is not None and OR_RATHER not in rollout.answer and rollout.finish == "stop"


def refuted(rollout: Rollout) -> bool:
    return any(states_false(step.text) for step in rollout.steps)


def _vote(rollout: Rollout) -> Rollout | None:
    if not refuted(rollout):
        return rollout
    answer = recalculated([step.text for step in rollout.steps], rollout.answer or "")
    return None if answer is None else rollout.model_copy(update={"answer": answer})


def vote_shares(rollouts: Sequence[Rollout], kind: AnswerKind, sharpness: float = 0.0) -> dict[str, float]:
    """Return the share of each answer among ``voters``, the largest first; ``sharpness`` as in ``weights``."""
    led = equal_answers([rollout.answer or "" for rollout in rollouts], kind)
    votes: defaultdict[str, float] = defaultdict(float)
    for rollout, weight in zip(rollouts, weights(rollouts, sharpness), strict=True):
        votes[led[rollout.answer or ""]] += weight
    total = sum(votes.values())
    return {answer: weight / total for answer, weight in sorted(votes.items(), key=lambda item: -item[1])}


def weights(rollouts: Sequence[Rollout], sharpness: float) -> list[float]:
    """Return each vote's weight: the rollout's mean token probability to the power ``sharpness``.

    0 counts votes (arXiv 2203.11171), more believes the confident ones (arXiv 2502.06233). Where a log-probability is
    missing, votes are counted.
    """
    chances = [rollout.mean_logprob for rollout in rollouts if rollout.mean_logprob is not None]
    if len(chances) < len(rollouts):
        return [1.0] * len(rollouts)
    most = max(chances, default=0.0)
    return [math.exp(sharpness * (chance - most)) for chance in chances]


def sure_votes(rollouts: Sequence[Rollout], answers: Collection[str], share: float, sharpness: float) -> int:
    """Return how many votes for some answers make up more than a share of all, whatever the others vote for; else 0.

    Looks at no more solutions than it must: to look for false equations takes most of the time.
    """
    weighed = weights(rollouts, sharpness)
    missing, votes = share * sum(weighed), 0
    for rollout, weight in zip(rollouts, weighed, strict=True):
        if rollout.answer in answers and not refuted(rollout):
            missing, votes = missing - weight, votes + 1
            if missing < 0:
                return votes
    return 0
