"""What the change-point model holds true of V at one prefix: its posterior mean and credible interval.

V is spread evenly over each cell of the grid, but for a share ``ends`` of the first and the last, where it is 0 or 1:
the grid cannot tell V there from never or always.
"""

from functools import lru_cache

import numpy as np

from stepforge.labelers.change_point.model import Posterior
from stepforge.labelers.change_point.rates import EDGES, GRID, SIZE, Array

PARTS = 16
"""Values of V that each cell of the grid is summed over."""


def weights_of(belief: Posterior, t: int) -> Array:
    """Return the posterior law of V after t steps on the grid."""
    weights: Array = belief.states[t].reshape(-1, SIZE).sum(axis=0)
    return weights


def value_and_interval(belief: Posterior, t: int, ends: float, level: float = 0.9) -> tuple[float, float, float]:
    """Return (mean, low, high): the ends of the interval cut off equal tails; but where V may well be 0, or 1, the
    interval begins, or ends, there, and the other end cuts off all of it."""
    weights = weights_of(belief, t)
    never, always = ends * weights[0], ends * weights[-1]
    inner = weights - np.concatenate([[never], np.zeros(SIZE - 2), [always]])
    below = np.cumsum([0.0, never, *inner, always])
    tail = (1 - level) / 2
    left, right = (2 * tail if other >= tail > own else tail for own, other in ((never, always), (always, never)))
    low, high = np.interp([left, 1 - right], below / below[-1], [0.0, *EDGES, 1.0])
    mean = float(inner @ GRID + always)
    return mean, min(float(low), mean), max(float(high), mean)


def foretold(weights: Array, successes: int, failures: int, ends: float) -> float:
    """Return the probability of these counts of right and wrong completions, in a given order, under a law of V."""
    even = float(weights @ _cells(successes, failures))
    outer = weights * _cells(successes, failures)
    return even + ends * float(weights[0] * (successes == 0) - outer[0] + weights[-1] * (failures == 0) - outer[-1])


@lru_cache(maxsize=1024)
def _cells(successes: int, failures: int) -> Array:
    """Return, for each cell of the grid, the mean of V to the power of successes times 1 - V to that of failures."""
    places = np.arange(SIZE)[:, None] + (np.arange(PARTS) + 0.5) / PARTS
    v = np.interp(places, np.arange(SIZE + 1), EDGES)
    means: Array = (v**successes * (1 - v) ** failures).mean(axis=1)
    return means
