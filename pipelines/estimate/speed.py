"""How long an engine takes: a pilot's calls, a model of one call's time, and of how many calls are in flight.

An engine that batches computes one token of every request in flight per step, and a step takes a + b r with r requests.
A call that writes k tokens therefore takes c + k (a + b r). Fitted to the calls of the pilot, this gives the time of
calls that share the engine with more others than the pilot's did. By Little's law, work of W request-seconds with R
requests in flight at a time takes W / R.
"""

import heapq
import time
from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import NamedTuple

import numpy as np

from stepforge.pipelines.engines.text_engine import WrappedEngine
from stepforge.schemas.protocols import Completion, Engine, Prompt, Sampling

SIMULATED = 3000
"""Most shards to simulate; a longer run looks the same except at its ends."""


class Call(NamedTuple):
    tokens: int
    """Generated tokens."""
    seconds: float
    running: float
    """Rollouts in flight meanwhile, this one included; mean over the call's time."""


class Trace:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._running = 0
        self._integral = 0.0
        self._at = time.monotonic()

    def begin(self) -> tuple[float, float]:
        self._advance()
        self._running += 1
        return self._at, self._integral

    def end(self, begun: tuple[float, float], tokens: int) -> None:
        self._advance()
        self._running -= 1
        seconds = self._at - begun[0]
        self.calls.append(Call(tokens, seconds, (self._integral - begun[1]) / seconds if seconds > 0 else 1.0))

    def _advance(self) -> None:
        now = time.monotonic()
        self._integral += self._running * (now - self._at)
        self._at = now


class TracedEngine(WrappedEngine):
    def __init__(self, engine: Engine, trace: Trace) -> None:
        super().__init__(engine)
        self.trace = trace

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        trace, tokens = self.trace, 0
        begun = trace.begin()
        try:
            found = await self.engine.complete(prompt, seed=seed, sampling=sampling)
            tokens = found.tokens
        finally:
            trace.end(begun, tokens)
        return found

    async def close(self) -> None:
        await self.engine.close()


class StepTime(NamedTuple):
    """Seconds of a call that writes k tokens while r rollouts are in flight: ``call + k (step + row r)``."""

    call: float
    step: float
    row: float

    def request_seconds(self, rollouts: float, tokens: float, running: float) -> float:
        """Return the total time that rollouts occupy slots."""
        return rollouts * self.call + tokens * (self.step + self.row * running)

    def wall_seconds(self, rollouts: float, tokens: float, running: float, *, engines: int, capacity: int) -> float:
        """Return how long a phase takes with ``running`` rollouts in flight on each engine, on average.

        ``capacity`` is how many an engine computes at a time; others wait.
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
    """Return how many problems are in progress on average in a phase, given the time that problems take.

    Slots work through a list of shards, each held until its shard's slowest problem is done; the end, when slots are
    empty, counts too. Only the proportions of ``seconds`` matter. Problems that take no time (they were dropped before)
    count for none.
    """
    shown = min(-(-problems // rows_per_shard), max(SIMULATED, 4 * slots))
    free, left, work = [0.0] * max(1, slots), problems, 0.0
    for _ in range(shown):
        drawn = rng.choices(seconds, k=min(rows_per_shard, left))
        left -= len(drawn)
        work += sum(drawn)
        heapq.heappush(free, heapq.heappop(free) + max(drawn, default=0.0))
    return work / max(free) if max(free) > 0 else 0.0
