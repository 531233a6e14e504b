"""How often Python looks for reference cycles. Records are trees, freed by reference counts; scanning the thousands in
use after every few hundred new ones costs a third of creating them."""

import gc

YOUNG_OBJECTS = 100_000
"""Net new containers before the youngest are scanned; Python's default is 700. About
4,000 rollouts."""


def collect_seldom() -> None:
    """Scan for cycles rarely, and only among young objects; existing ones (models, libraries) are excluded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
