"""Best-of-N: choosing among N solutions of a problem by votes, by votes weighted by a reward model, or by the reward
model alone.

A solution's weight is its lowest or last step score. Every figure is the expected share of right
choices over random sets of N of the available solutions; ties are broken at random.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.grading.votes import equal_answers
from stepforge.pipelines.scoring.cases import Case
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

Array = NDArray[np.float64]
Aggregator = Callable[[Sequence[float]], float]
AGGREGATORS: dict[str, Aggregator] = {"min": min, "last": lambda scores: scores[-1]}
TIE = 1e-12
SIZES = (1, 2, 4, 8, 16, 32, 64)
DRAWS = 64
"""Random sets of N solutions of each problem."""
FALL = 0.01
"""How far a curve must fall from its peak to count as over-optimized."""


class Curve(Record):
    """Share of problems answered correctly when one of N solutions is chosen."""

    chosen_by: str
    right: dict[int, float]
    """By N."""

    @property
    def over_optimized(self) -> bool:
        """Whether more solutions lead to fewer right choices."""
        return max(self.right.values()) - list(self.right.values())[-1] > FALL


class Ballot(NamedTuple):
    answers: Array
    """(solutions, answers): 1 where a solution gives an answer; a truncated solution gives none."""
    right: Array
    """1 for each right answer."""
    solved: Array
    """1 for each right solution, also where its answer is not given."""


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
    return Ballot(votes, right_names, np.maximum(votes @ right_names, np.array(right, dtype=float)))


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


def curves(cases: Sequence[Case]) -> list[Curve]:
    """Return best-of-N by scores, with the majority and the upper bound; none if problems have one solution."""
    problems: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if case.final_answer_correct is not None:
            problems[case.problem].append(case)
    counts = sorted(map(len, problems.values()))
    sizes = [n for n in SIZES if counts and n <= counts[len(counts) // 2]]  # half of the problems have as many
    if len(sizes) < 2:
        return []
    whole = {problem: found for problem, found in problems.items() if len(found) >= sizes[-1]}
    ballots = {
        p: ballot([c.answer for c in found], [bool(c.final_answer_correct) for c in found])
        for p, found in whole.items()
    }

    def curve(chosen_by: str, share: Callable[..., float], turn: Aggregator | None = None) -> Curve:
        """``turn``: makes a solution's weight of its step scores, for a share that takes weights."""
        right = {}
        for n in sizes:
            shares = []
            for problem, found in whole.items():
                weights = () if turn is None else (np.array([turn(case.scores) for case in found]),)
                shares.append(share(ballots[problem], choices(len(found), n, DRAWS, problem), *weights))
            right[n] = float(np.mean(shares))
        return Curve(chosen_by=chosen_by, right=right)

    found = [curve("any right", any_right)]
    voting = all(case.answer is not None for case in cases if case.final_answer_correct)
    if voting:
        found.append(curve("majority", majority))
    for name, turn in AGGREGATORS.items():
        found.append(curve(f"best, {name}", best, turn))
        if voting:
            found.append(curve(f"weighted vote, {name}", weighted, turn))
    return found
