"""Intervals for shares estimated from counts."""

from bisect import bisect_left
from functools import lru_cache
from math import comb, sqrt

from stepforge.schemas.record import Record

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
def beta_interval(successes: int, failures: int) -> tuple[float, float]:
    """Return the central 90 % credible interval of a share under a flat prior: quantiles of Beta(1 + s, 1 + f).

    Unlike a share, a posterior is not biased by adaptive stopping.

    Raises:
        ValueError: a count is negative.
    """
    if successes < 0 or failures < 0:
        raise ValueError(f"{successes} successes, {failures} failures")
    steps = 1 << 40
    low, high = (
        bisect_left(range(steps), share, key=lambda i: _beta_cdf(successes, failures, i / steps))
        for share in (0.05, 0.95)
    )
    return (low - 0.5) / steps, (high - 0.5) / steps


def _beta_cdf(successes: int, failures: int, x: float) -> float:
    """Return P(Beta(1 + s, 1 + f) <= x), which for whole numbers is a binomial tail: P(Bin(s + f + 1, x) > s)."""
    n = successes + failures + 1
    if successes < failures:
        return 1 - sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(successes + 1))
    return sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(successes + 1, n + 1))


class Share(Record):
    """A share with its 95 % Wilson interval; steps of one problem are not independent, so it is a little narrow."""

    share: float
    low: float
    high: float


def share_of(part: int, whole: int) -> Share | None:
    if not whole:
        return None
    low, high = wilson(part, whole)
    return Share(share=round(part / whole, 5), low=round(low, 5), high=round(high, 5))
