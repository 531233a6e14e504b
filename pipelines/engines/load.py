"""An engine's reported load, and how many requests it gets accordingly."""

import asyncio
from typing import NamedTuple

from stepforge.schemas.protocols import Engine

FULL = 0.95
"""Share of the cache in use above which the number of requests does not grow."""


class EngineLoad(NamedTuple):
    """An engine's own report after its last step."""

    running: int
    cache_usage: float
    """Share of the key-value cache in use."""
    preemptions: int
    """Requests preempted so far for lack of cache; their tokens must be recomputed."""


class Turns:
    """Hands out turns at an engine, first come, first served.

    After a preemption there are only as many as requests were then running; then one more per windowful of answers,
    while the cache is not full, up to ``most`` (additive increase, multiplicative decrease, as TCP does).
    """

    def __init__(self, engine: Engine, most: int) -> None:
        """An engine that reports its load has it as ``load``."""
        self._engine = engine
        self._most = most
        self._window = float(most)
        self._preemptions = 0
        self._turns = asyncio.Semaphore(most)
        self._withheld = 0
        self.take = self._turns.acquire

    @property
    def size(self) -> int:
        return self._most - self._withheld

    def give_back(self) -> None:
        """End a turn; another begins, unless the window has shrunk."""
        load: EngineLoad | None = getattr(self._engine, "load", None)
        if load is not None:
            self._follow(load)
        surplus = self._most - int(self._window)
        if self._withheld < surplus:
            self._withheld += 1
            return
        for _ in range(1 + self._withheld - surplus):
            self._turns.release()
        self._withheld = surplus

    def _follow(self, load: EngineLoad) -> None:
        if load.preemptions > self._preemptions:
            self._preemptions = load.preemptions
            self._window = max(1.0, min(self._window, load.running))
        elif self._window < self._most and load.cache_usage < FULL:
            self._window = min(self._most, self._window + 1 / self._window)
