"""How long an engine takes: a model of one call's time, and of how many calls are under way at a time.

An engine that batches computes one token of every request under way in a step, and a step takes a + b r with r
requests. A call that writes k tokens therefore takes c + k (a + b r). Fitted to the calls of the pilot, this gives
the time of calls that share the engine with more others than the pilot's did. By Little's law, work of W
request-seconds with R requests under way at a time takes W / R.
"""

import heapq
from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import NamedTuple

import numpy as np

from stepforge.pipelines.estimate.trace import Call

SIMULATED = 3000
"""Shards that are simulated at most; a longer run looks like this one but for its ends."""


class StepTime(NamedTuple):
    """Seconds of a call that writes k tokens while r rollouts are under way: ``call + k (step + row r)``."""

    call: float
    step: float
    row: float

    def request_seconds(self, rollouts: float, tokens: float, running: float) -> float:
        """Return the time that rollouts hold their places, together."""
        return rollouts * self.call + tokens * (self.step + self.row * running)

    def wall_seconds(self, rollouts: float, tokens: float, running: float, *, engines: int, capacity: int) -> float:
        """Return how long a phase takes with ``running`` rollouts under way on each engine, on average.

        ``capacity`` is how many an engine computes at a time; more wait.
        """
        if rollouts <= 0 or running <= 0:
            return 0.0
        together = min(running, float(capacity))
        return self.request_seconds(rollouts, tokens, together) / (together * engines)


def step_time(calls: Sequence[Call]) -> StepTime:
    """Return the least squares fit to some calls; no part of a time is negative."""
    regressors = np.array([(1.0, call.tokens, call.tokens * call.running) for call in calls]).reshape(-1, 3)
    seconds = np.array([call.seconds for call in calls])
    best, least = np.zeros(3), float(seconds @ seconds)
    for size in (1, 2, 3):
        for chosen in map(list, combinations(range(3), size)):
            found = np.zeros(3)
            found[chosen] = np.linalg.lstsq(regressors[:, chosen], seconds, rcond=None)[0]
            loss = float(np.sum((regressors @ found - seconds) ** 2))
            if (found >= 0).all() and loss < least:
                best, least = found, loss
    return StepTime(*map(float, best))


def mean_active(seconds: Sequence[float], problems: int, rows_per_shard: int, slots: int, rng: Random) -> float:
    """Return how many problems are under way on average in a phase, given the time that problems take.

    A list of shards is worked off by the slots, each held until its shard's slowest problem is done; the end, when
    slots stand empty, counts too. Only the proportions of ``seconds`` matter. Problems that take no time (they were
    dropped before) are under way for none.
    """
    shown = min(-(-problems // rows_per_shard), max(SIMULATED, 4 * slots))
    free, left, work = [0.0] * max(1, slots), problems, 0.0
    for _ in range(shown):
        drawn = rng.choices(seconds, k=min(rows_per_shard, left))
        left -= len(drawn)
        work += sum(drawn)
        heapq.heappush(free, heapq.heappop(free) + max(drawn, default=0.0))
    return work / max(free) if max(free) > 0 else 0.0
