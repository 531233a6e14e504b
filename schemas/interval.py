"""Intervals for shares estimated from counts."""

from functools import lru_cache
from math import comb, sqrt

Z95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (E. B. Wilson, 1927, JASA 22, p. 209).

    Raises:
        ValueError: trials is not positive, or successes lies outside 0 to trials.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    share = successes / trials
    spread = 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / spread
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / spread
    # Rounding may leave the share itself just outside.
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


@lru_cache(maxsize=1 << 14)
def beta_interval(successes: int, failures: int, level: float = 0.9) -> tuple[float, float]:
    """Return the central credible interval of a share under a flat prior: quantiles of Beta(1 + s, 1 + f).

    Unlike a share, a posterior is not biased by adaptive stopping.

    Raises:
        ValueError: a count is negative, or the level lies outside 0 to 1.
    """
    if successes < 0 or failures < 0 or not 0 < level < 1:
        raise ValueError(f"{successes} successes, {failures} failures, level {level}")
    tail = (1 - level) / 2
    return _beta_quantile(successes, failures, tail), _beta_quantile(successes, failures, 1 - tail)


def _beta_quantile(successes: int, failures: int, share: float) -> float:
    """Return where the distribution function reaches a share, by bisection to 2^-40."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta_cdf(successes, failures, middle) < share else (low, middle)
    return (low + high) / 2


def _beta_cdf(successes: int, failures: int, x: float) -> float:
    """Return P(Beta(1 + s, 1 + f) <= x), which for whole numbers is a binomial tail: P(Bin(s + f + 1, x) > s)."""
    n = successes + failures + 1
    if successes < failures:
        return 1 - sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(successes + 1))
    return sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(successes + 1, n + 1))
