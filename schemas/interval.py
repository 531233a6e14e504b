"""Intervals for shares estimated from counts."""

from math import sqrt

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
    centre = (share + z * z / (2 * trials)) / spread
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / spread
    # Rounding may leave the share itself just outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
