"""Intervals from resampling problems: the same draws for every arm, so that differences are paired."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def weights(problems: int, resamples: int, seed: int) -> Array:
    """Return how often each problem is drawn in each resample: (problems, resamples); the first column is all ones."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(problems, np.full(problems, 1 / problems), size=resamples).T.astype(np.float64)
    return np.concatenate([np.ones((problems, 1)), drawn], axis=1)


def estimate(samples: Array) -> Estimate:
    """Return the figure, which is the first sample, and the interval of the others."""
    low, high = np.percentile(samples[1:], [2.5, 97.5])
    return Estimate(float(samples[0]), float(low), float(high))


def averaged(samples: Sequence[Array]) -> Array:
    """Return the mean over seeds of what each resample gives."""
    mean: Array = np.mean(np.stack(list(samples)), axis=0)
    return mean
