"""``stepforge estimate``: what a run will cost, from a pilot of a few dozen of its problems on its own engine."""
