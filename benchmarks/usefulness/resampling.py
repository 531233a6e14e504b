"""Intervals from resampling problems: the same draws for every arm, so that differences are paired."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stepforge.pipelines.bench.measure import Array, resamples


class Resampled(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def weights(problems: int, draws: int, seed: int) -> Array:
    """Return how often each problem is drawn in each resample: (problems, draws); the first column is all ones."""
    return resamples([True] * problems, draws, seed).T


def estimate(samples: Array) -> Resampled:
    """Return the figure, which is the first sample, and the interval of the others."""
    low, high = np.percentile(samples[1:], [2.5, 97.5])
    return Resampled(float(samples[0]), float(low), float(high))


def averaged(samples: Sequence[Array]) -> Array:
    """Return the mean over seeds of what each resample gives."""
    mean: Array = np.mean(np.stack(list(samples)), axis=0)
    return mean
