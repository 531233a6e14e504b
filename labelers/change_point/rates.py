"""What the change-point model takes for known of a policy: how often steps err and are repaired, and how V moves.

Rates belong to a policy, not to a problem family. A run fits them to its first problems (``change_point.pooling``).
"""

from functools import lru_cache
from math import exp, lgamma
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stepforge.schemas.record import Record

Array = NDArray[np.float64]
Share = Annotated[float, Field(ge=0, lt=1)]
Chance = Annotated[float, Field(gt=0, lt=1)]
OfSteps = tuple[Chance, Chance, Chance]

GRID: Array = np.array([0.01, 0.03, 0.06, 0.1, 0.15, 0.22, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97])
"""The values of V that are told apart."""
SIZE = len(GRID)
EDGES: Array = np.concatenate([[0.0], (GRID[1:] + GRID[:-1]) / 2, [1.0]])
"""Ends of the grid's cells."""
BASE_LAW: Array = np.diff(2 / np.pi * np.arcsin(np.sqrt(EDGES)))
"""Law of V at the question: Beta(1/2, 1/2), Jeffreys' for a chance. It is not fitted, because a run keeps problems by
how many of their solutions are right, so that those which it kept seem more alike than they are."""

FALSE, NOTHING, BACKED, ALONE, OTHER, UNKNOWN, ANSWER = range(7)
"""What a step states: a false equation; no number, or what the question or an earlier step says; what right solutions
of the problem say; what none does, by a new number, by something beside an equation of theirs, or by a number from
nowhere for something named; numbers that right ones state, but not together; anything else that cannot be compared, for
lack of a right solution or because earlier steps have all of its numbers (a check); nothing in the last step, as right
and wrong ones alike do."""
KINDS = 7
NO_RESULT = (0, -1)
"""What stands for the counts of a step without a result of its own."""
ALL_OR_NONE = 0.3
"""Sum of the parameters of the Beta law of how many right rollouts state a step's result."""


class Rates(Record):
    """Parameters of ``change_point.model``. Tuples are weights of mixtures and sum to 1."""

    hazard: float = Field(default=0.8, gt=0)
    """Expected wrong steps in a solution each of whose steps the policy could as well have written otherwise."""
    repair: float = Field(default=0.15, gt=0)
    """Expected repairs in a solution that is lost from its first step on."""
    moves: tuple[float, float, float] = (0.5, 0.25, 0.25)
    """How V moves over most steps that are right: hardly, up or down, or up."""
    anywhere: Chance = 0.15
    """Share of right steps over which V goes anywhere. A real model's V does: 8 of 8 completions right before a right
    step, 1 of 8 after it, 7 of 8 after the next."""
    drops: tuple[float, float] = (0.95, 0.05)
    """Where V goes at a wrong step: to the floor, or anywhere below half of what it was."""
    harmless: tuple[Share, Share] = (0.25, 0.9)
    """Share of wrong steps over which V moves as over right ones, for a solution none of whose steps the policy was
    sure of, and for one all of whose steps it was. V cannot show them: these are assumed, not fitted to a run, unless
    people judged at least 100 of its solutions (``stepforge relabel --rule posterior``)."""
    early: Share = 0.15
    """Share of the other wrong steps before which V falls already, at the end of a solution none of whose steps the
    policy was sure of: the wrong step follows soon. It grows with what is written. Assumed like ``harmless``."""
    false: OfSteps = (0.005, 0.08, 0.015)
    """Shares of steps that state a false equation: of right ones, of first wrong ones, of those after them. The
    defaults are of people's labels (docs/labelers.md). The first says how often the reader errs and is not fitted."""
    nothing: OfSteps = (0.25, 0.25, 0.25)
    """Shares of the others that state no number, or what the question or an earlier step says. These and the next two
    are fitted where a run's right solutions are alike; by default they say nothing."""
    backed: OfSteps = (0.2, 0.2, 0.2)
    """Shares of the others that say what right solutions say."""
    alone: OfSteps = (0.7, 0.7, 0.7)
    """Shares of the rest that state what no right solution does."""
    results: OfSteps = (0.6, 0.85, 0.6)
    """Shares of steps with a result that neither the question nor an earlier step has. The defaults of these and the
    next are of people's labels (docs/labelers.md); where right solutions are alike, the three above count instead."""
    confirmed: OfSteps = (0.7, 0.2, 0.15)
    """Mean shares of right rollouts that state such a result."""
    ends: Chance = 0.6
    """Share of V in the first and the last cell of the grid that is 0 or 1. Fitted so that completions which the model
    was not shown are likeliest."""
    temper: float = Field(default=1.0, gt=0, le=1)
    """Power that the posterior of the first error is raised to: below 1 it admits that the model is sure of more than
    it knows. Fitted to people's labels alone: completions do not tell which step beside a fall of V was wrong."""

    @property
    def statements(self) -> Array:
        """``[right, first wrong, after; FALSE to ANSWER]``: the chance of what a step states."""
        left, found = np.ones(3), []
        for share in (self.false, self.nothing, self.backed, self.alone):
            found.append(left * share)
            left = left - found[-1]
        return np.stack([*found, left, sum(found[BACKED:], left), np.ones(3)], axis=1)

    def of_results(self, counts: NDArray[np.intp]) -> Array:
        """``[right, first wrong, after; t]``: the chance of ``Observed.results``."""
        shares = zip(self.results, self.confirmed, strict=True)
        return np.array([[_chance_of_result(*count, *share) for count in counts.tolist()] for share in shares])

    @property
    def all_moves(self) -> tuple[float, ...]:
        """``moves`` of all right steps, and ``anywhere`` last."""
        return (*((1 - self.anywhere) * share for share in self.moves), self.anywhere)

    def harmless_share(self, written: float) -> float:
        """Return ``harmless`` for a solution whose steps have the mean probability ``written``."""
        unsure, sure = self.harmless
        return unsure + (sure - unsure) * written

    def early_shares(self, written: float, steps: int) -> Array:
        """Return ``[t]``: the share of ``early`` at step t + 1. Both steps, where V falls and where the error is
        written, could have been others."""
        behind = np.arange(1, steps + 1) / steps
        shares: Array = self.early * (1 - written) ** 2 * behind
        return shares


class Kernels(NamedTuple):
    """Laws of V after a step given V before it: ``[from, to]``, rows sum to 1."""

    moves: Array
    """``[move, from, to]``"""
    drops: Array
    lost: Array
    """From lost to lost: V stays low."""
    repair: Array
    """From lost to right again: V is anything above twice what it was."""


@lru_cache(maxsize=1)
def kernels() -> Kernels:
    """Return the laws that ``Rates`` mixes."""
    logit = np.log(GRID / (1 - GRID))
    apart = logit[None, :] - logit[:, None]
    low = GRID[None, :] <= np.maximum(GRID[:, None] / 2, GRID[0])
    floor = np.where(GRID <= 0.03, 1 / np.arange(1, SIZE + 1), 0.0)[None, :] * low
    anywhere = np.tile(BASE_LAW, (SIZE, 1))
    return Kernels(
        moves=np.stack([*(_rows(np.exp(-(((apart - up) / width) ** 2) / 2)) for up, width in MOVES), anywhere]),
        drops=np.stack([_rows(floor), _rows(low.astype(np.float64))]),
        lost=_rows(np.exp(-((apart / 0.3) ** 2) / 2)),
        repair=_rows((GRID[None, :] >= np.minimum(2 * GRID[:, None], GRID[-1])).astype(np.float64)),
    )


@lru_cache(maxsize=256)
def mixtures(moves: tuple[float, ...], drops: tuple[float, ...]) -> tuple[Array, Array]:
    """Return the laws of V, ``[from, to]``, over a right step and at a wrong one that does harm; ``moves`` as in
    ``Rates.all_moves``."""
    laws = kernels()
    return np.tensordot(np.array(moves), laws.moves, 1), np.tensordot(np.array(drops), laws.drops, 1)


@lru_cache(maxsize=8192)
def _chance_of_result(stating: int, of: int, results: float, mean: float) -> float:
    """Return the chance that a step has a result and that ``stating`` of so many rollouts state it: Beta-binomial,
    because mostly all of them state a result or none does."""
    if (stating, of) == NO_RESULT:
        return 1 - results
    right, wrong = mean * ALL_OR_NONE, (1 - mean) * ALL_OR_NONE
    ways = lgamma(of + 1) - lgamma(stating + 1) - lgamma(of - stating + 1)
    seen = lgamma(right + stating) + lgamma(wrong + of - stating) - lgamma(ALL_OR_NONE + of)
    return results * exp(ways + seen - lgamma(right) - lgamma(wrong) + lgamma(ALL_OR_NONE))


MOVES = ((0.0, 0.3), (0.0, 1.0), (0.7, 0.6))
"""Mean and width, in log-odds, of the first three ways in which V moves over a right step."""


def _rows(weights: Array) -> Array:
    rows: Array = weights / weights.sum(axis=1, keepdims=True)
    return rows
