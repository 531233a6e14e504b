"""What the change-point model holds true of V at one prefix: its posterior mean and credible interval."""

import numpy as np

from stepforge.labelers.change_point.model import LOST, REPAIRED, RIGHT, Posterior
from stepforge.labelers.change_point.rates import GRID, Array

EDGES: Array = np.concatenate([[0.0], (GRID[1:] + GRID[:-1]) / 2, [1.0]])
"""Ends of the grid's cells."""


def value_and_interval(belief: Posterior, t: int, level: float = 0.9) -> tuple[float, float, float]:
    """Return (mean, low, high): the ends cut off equal tails, V being spread evenly over each cell of the grid."""
    weights = belief.states[t, RIGHT] + belief.states[t, LOST] + belief.states[t, REPAIRED]
    below = np.concatenate([[0.0], np.cumsum(weights)])
    tail = (1 - level) / 2
    low, high = np.interp([tail, 1 - tail], below / below[-1], EDGES)
    return float(weights @ GRID), float(low), float(high)
