"""How often Python looks for reference cycles. Records are trees and die by their counts; looking through the
thousands that are under way, after every few hundred new ones, costs a third of what making them costs."""

import gc

YOUNG_OBJECTS = 100_000
"""New containers, net of those that died, before the youngest are looked through; Python's own number is 700. About
4,000 rollouts."""


def collect_seldom() -> None:
    """Look for cycles among the young alone, and seldom; what is there already (models, libraries) is left out."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
