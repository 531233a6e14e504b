"""Intervals from resampling problems: the same draws for every arm, so that differences are paired."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.usefulness.prm_exam import Tally
from benchmarks.usefulness.result import Interval

Array = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def rounded(self) -> Interval:
        return round(self.value, 4), round(self.low, 4), round(self.high, 4)


def weights(problems: int, resamples: int, seed: int) -> Array:
    """Return how often each problem is drawn in each resample: (problems, resamples); the first column is all ones."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(problems, np.full(problems, 1 / problems), size=resamples).T.astype(np.float64)
    return np.concatenate([np.ones((problems, 1)), drawn], axis=1)


def estimate(samples: Array) -> Estimate:
    """Return the figure, which is the first sample, and the interval of the others."""
    low, high = np.percentile(samples[1:], [2.5, 97.5])
    return Estimate(float(samples[0]), float(low), float(high))


def f1_samples(tallies: Sequence[Tally], drawn: Array) -> Array:
    """Return F1 in every resample, the mean over seeds."""
    return averaged([_f1(tally, drawn) for tally in tallies])


def mean_samples(by_seed: Sequence[Array], drawn: Array) -> Array:
    """Return the weighted mean over problems in every resample, the mean over seeds; NaN problems do not count."""
    found = []
    for values in by_seed:
        known = ~np.isnan(values)
        found.append((values[known] @ drawn[known]) / np.maximum(drawn[known].sum(0), 1e-9))
    return averaged(found)


def averaged(samples: Sequence[Array]) -> Array:
    mean: Array = np.mean(np.stack(list(samples)), axis=0)
    return mean


def _f1(tally: Tally, drawn: Array) -> Array:
    found = (tally.found @ drawn) / np.maximum(tally.erroneous @ drawn, 1e-9)
    left = (tally.left @ drawn) / np.maximum(tally.clean @ drawn, 1e-9)
    result: Array = 2 * found * left / np.maximum(found + left, 1e-9)
    return result
