"""What the change-point model holds true of V at one prefix: its posterior mean and credible interval.

The posterior is a mixture of Betas: one for each base rate where the prefix is alive, one where it is lost.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import exp, lgamma, log

from labelers.change_model import BASE_GRID, Observed, Posterior, value_prior
from labelers.rates import Rates

CELLS = 200
LEAST_WEIGHT = 1e-3
"""Parts of a mixture that weigh less are left out."""


def value(seen: Observed, rates: Rates, post: Posterior, t: int) -> float:
    """Return the posterior mean of V(t), for 1 <= t < T."""
    right, wrong = seen.prefixes[t - 1]
    return sum(w * (a + right) / (a + b + right + wrong) for w, a, b in _mixture(seen, rates, post, t))


def interval(seen: Observed, rates: Rates, post: Posterior, t: int, level: float = 0.9) -> tuple[float, float]:
    """Return the central credible interval of V(t): quantiles of a mixture of Betas, on a grid of cells."""
    right, wrong = seen.prefixes[t - 1]
    cells = [0.0] * (CELLS + 1)
    for weight, a, b in _mixture(seen, rates, post, t):
        if weight > LEAST_WEIGHT:
            for cell, upper in enumerate(_beta_cdf(a + right, b + wrong)):
                cells[cell] += weight * upper
    low, high = _quantile(cells, (1 - level) / 2), _quantile(cells, (1 + level) / 2)
    # Within the first and last cell a Beta may pile up at the end, which reading a line between two points misses.
    return 0.0 if low < 1 / CELLS else low, 1.0 if high > 1 - 1 / CELLS else high


def _mixture(seen: Observed, rates: Rates, post: Posterior, t: int) -> list[tuple[float, float, float]]:
    """Return (weight, a, b) of each prior of V(t): lost, and alive at each base rate."""
    steps = len(seen.chances)
    lost_at = [sum(row[f] for row in post.joint) for f in range(steps + 1)]
    parts = [(sum(lost_at[:t]), rates.lost_success, rates.lost_failure)]
    for column, base in enumerate(BASE_GRID):
        weight = sum(lost_at[f] * post.base[f][column] for f in range(t, steps + 1))
        parts.append((weight, *value_prior(base, t, steps, rates)))
    return parts


@lru_cache(maxsize=4096)
def _beta_cdf(a: float, b: float) -> tuple[float, ...]:
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
    return (0.0, *(sum_ / total for sum_ in accumulate(masses)))


def _quantile(cdf: Sequence[float], share: float) -> float:
    """Return where a distribution function on the grid reaches a share of its end, read linearly."""
    wanted = share * cdf[-1]
    upper = next((i for i, c in enumerate(cdf) if c >= wanted), len(cdf) - 1)
    if upper == 0:
        return 0.0
    below, above = cdf[upper - 1], cdf[upper]
    return (upper - 1 + (wanted - below) / (above - below if above > below else 1.0)) / (len(cdf) - 1)
