"""How full a run keeps its engines: shards in slots, each held until its slowest problem is done."""

import heapq
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

SIMULATED = 3000
"""Shards that are simulated at most; a longer run looks like this one but for its ends."""


class Geometry(NamedTuple):
    """How a run cuts its problems up."""

    problems: int
    rows_per_shard: int
    slots: int
    """Shards under way on all engines together."""


def mean_active(seconds: Sequence[float], geometry: Geometry, rng: Random) -> float:
    """Return how many problems are under way on average in a phase, given the time that problems take.

    A list of shards is worked off by the slots; the end, when slots stand empty, counts too. Only the proportions of
    ``seconds`` matter. Problems that take no time (they were dropped before) are under way for none.
    """
    shards = -(-geometry.problems // geometry.rows_per_shard)
    shown = min(shards, max(SIMULATED, 4 * geometry.slots))
    free = [0.0] * max(1, geometry.slots)
    left, work = geometry.problems, 0.0
    for _ in range(shown):
        drawn = rng.choices(seconds, k=min(geometry.rows_per_shard, left))
        left -= len(drawn)
        work += sum(drawn)
        heapq.heappush(free, heapq.heappop(free) + max(drawn, default=0.0))
    end = max(free)
    return work / end if end > 0 else 0.0
