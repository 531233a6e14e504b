"""What the change-point model holds true of V at one prefix: its posterior mean and credible interval."""

import numpy as np

from stepforge.labelers.change_point.model import Posterior
from stepforge.labelers.change_point.rates import EDGES, GRID, SIZE, Array


def weights_of(belief: Posterior, t: int) -> Array:
    """Return the posterior law of V after t steps on the grid."""
    weights: Array = belief.states[t].reshape(-1, SIZE).sum(axis=0)
    return weights


def value_and_interval(belief: Posterior, t: int, level: float = 0.9) -> tuple[float, float, float]:
    """Return (mean, low, high): the ends cut off equal tails, V being spread evenly over each cell of the grid.

    An end in the first or last cell is 0 or 1: the grid cannot tell V there from never or always.
    """
    weights = weights_of(belief, t)
    below = np.concatenate([[0.0], np.cumsum(weights)])
    tail = (1 - level) / 2
    low, high = np.interp([tail, 1 - tail], below / below[-1], EDGES)
    low, high = (0.0 if low < EDGES[1] else low), (1.0 if high > EDGES[-2] else high)
    return float(weights @ GRID), float(low), float(high)
