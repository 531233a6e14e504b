"""Best-of-N: choosing among N solutions of a problem by votes, by votes weighted by a reward model, or by the reward
model alone.

A solution's weight is its lowest or last step score. Every figure is the expected share of right
choices over random sets of N of the available solutions; ties are broken at random.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.grading.votes import equal_answers
from stepforge.schemas.seeds import seed_of

Array = NDArray[np.float64]
AGGREGATORS: dict[str, Callable[[Sequence[float]], float]] = {"min": min, "last": lambda s: s[-1]}
TIE = 1e-12


class Ballot(NamedTuple):
    """The solutions of one problem."""

    answers: Array
    """(solutions, answers): 1 where a solution gives an answer; a truncated solution gives none."""
    right: Array
    """1 for each right answer."""

    @property
    def solved(self) -> Array:
        return self.answers @ self.right


def ballot(answers: Sequence[str | None], right: Sequence[bool]) -> Ballot:
    """Return the votes of solutions by their answers; None: a solution gives none."""
    leaders = equal_answers([answer for answer in answers if answer is not None], "math")
    names = sorted(set(leaders.values()))
    votes, right_names = np.zeros((len(answers), len(names))), np.zeros(len(names))
    for i, answer in enumerate(answers):
        if answer is not None:
            place = names.index(leaders[answer])
            votes[i, place] = 1
            right_names[place] = max(right_names[place], right[i])
    return Ballot(votes, right_names)


def choices(solutions: int, n: int, draws: int, problem: str) -> NDArray[np.int64]:
    """Return random sets of ``n`` solutions, the same for every arm: (draws, n)."""
    rng = np.random.default_rng(seed_of("best of n", problem, n))
    if n >= solutions:
        return np.arange(solutions)[None, :]
    return np.argsort(rng.random((draws, solutions)), axis=1)[:, :n]


def majority(votes: Ballot, chosen: NDArray[np.int64]) -> float:
    return weighted(votes, chosen, np.ones(len(votes.answers)))


def weighted(votes: Ballot, chosen: NDArray[np.int64], weight: Array) -> float:
    if not len(votes.right):
        return 0.0
    given = votes.answers[chosen].sum(1) > 0
    sums = np.where(given, (votes.answers * weight[:, None])[chosen].sum(1), -1.0)  # an answer nobody gave never wins
    tied = given & (sums >= sums.max(1, keepdims=True) - TIE)
    return float(np.mean((tied * votes.right).sum(1) / np.maximum(tied.sum(1), 1)))


def best(votes: Ballot, chosen: NDArray[np.int64], weight: Array) -> float:
    scores = weight[chosen]
    tied = scores >= scores.max(1, keepdims=True) - TIE
    return float(np.mean((tied * votes.solved[chosen]).sum(1) / tied.sum(1)))


def any_right(votes: Ballot, chosen: NDArray[np.int64]) -> float:
    """Return the share of sets that contain a right solution: the upper bound of any choice."""
    return float(np.mean(votes.solved[chosen].max(1)))
