"""What the change-point model holds true of V at one prefix: its posterior mean and credible interval.

The posterior is a mixture of Betas: one for each base rate where the prefix is alive, one where it is lost.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import exp, lgamma, log
from operator import mul
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.labelers.change_point.model import Counts, Observed, Posterior, alive_priors
from stepforge.labelers.change_point.rates import Rates

Cells = NDArray[np.float64]
"""A distribution function at the edges of the cells."""
CELLS = 200
LEAST_WEIGHT = 1e-3
"""Parts of a mixture that weigh less are left out."""


class _Part(NamedTuple):
    """One prior of the mixture, and what it weighs after all that was seen."""

    weight: float
    a: float
    b: float


def value(seen: Observed, rates: Rates, post: Posterior, t: int) -> float:
    """Return the posterior mean of V(t), for 1 <= t < T."""
    return _mean(_mixture(seen, rates, post, t), seen.prefixes[t - 1])


def interval(seen: Observed, rates: Rates, post: Posterior, t: int, level: float = 0.9) -> tuple[float, float]:
    """Return the central credible interval of V(t): quantiles of a mixture of Betas, on a grid of cells."""
    return _ends(_mixture(seen, rates, post, t), seen.prefixes[t - 1], level)


def value_and_interval(seen: Observed, rates: Rates, post: Posterior, t: int) -> tuple[float, float, float]:
    """Return both, (mean, low, high), for hardly more than the price of one."""
    parts, counts = _mixture(seen, rates, post, t), seen.prefixes[t - 1]
    return _mean(parts, counts), *_ends(parts, counts, 0.9)


def _mean(parts: Sequence[_Part], counts: Counts) -> float:
    right, wrong = counts
    return sum(weight * (a + right) / (a + b + right + wrong) for weight, a, b in parts)


def _ends(parts: Sequence[_Part], counts: Counts, level: float) -> tuple[float, float]:
    right, wrong = counts
    cells = np.zeros(CELLS + 1)
    for weight, a, b in parts:
        if weight > LEAST_WEIGHT:
            cells += weight * _beta_cdf(a + right, b + wrong)
    low, high = _quantile(cells, (1 - level) / 2), _quantile(cells, (1 + level) / 2)
    # Within the first and last cell a Beta may pile up at the end, which reading a line between two points misses.
    return 0.0 if low < 1 / CELLS else low, 1.0 if high > 1 - 1 / CELLS else high


def _mixture(seen: Observed, rates: Rates, post: Posterior, t: int) -> list[_Part]:
    """Return the priors of V(t): lost, and alive at each base rate."""
    steps = len(seen.chances)
    lost_at = list(map(sum, zip(*post.joint, strict=True)))
    parts = [_Part(sum(lost_at[:t]), rates.lost_success, rates.lost_failure)]
    priors = alive_priors(t, steps, rates.value_precision)
    bases = zip(*post.base[t:], strict=True)
    for (a, b), base in zip(priors, bases, strict=True):
        parts.append(_Part(sum(map(mul, lost_at[t:], base)), a, b))
    return parts


@lru_cache(maxsize=4096)
def _beta_cdf(a: float, b: float) -> Cells:
    """Return the distribution function of Beta(a, b) at 0, 1/CELLS, ..., 1: midpoint sums, the ends in closed form."""
    log_norm = lgamma(a + b) - lgamma(a) - lgamma(b)
    masses = []
    for cell in range(CELLS):
        if cell == 0:  # x^(a-1) may have no bound at 0, nor (1-x)^(b-1) at 1
            masses.append(exp(log_norm - a * log(CELLS)) / a)
        elif cell == CELLS - 1:
            masses.append(exp(log_norm - b * log(CELLS)) / b)
        else:
            x = (cell + 0.5) / CELLS
            masses.append(exp(log_norm + (a - 1) * log(x) + (b - 1) * log(1 - x)) / CELLS)
    total = sum(masses)
    return np.array([0.0, *(sum_ / total for sum_ in accumulate(masses))])


def _quantile(cdf: Cells, share: float) -> float:
    """Return where a distribution function on the grid reaches a share of its end, read linearly."""
    wanted = share * float(cdf[-1])
    upper = int(np.argmax(cdf >= wanted))
    if upper == 0:
        return 0.0
    below, above = float(cdf[upper - 1]), float(cdf[upper])
    return (upper - 1 + (wanted - below) / (above - below if above > below else 1.0)) / (len(cdf) - 1)
