"""An engine's reported load, and how many requests it gets accordingly."""

import asyncio
from typing import NamedTuple

from stepforge.pipelines.terminal.output import say
from stepforge.schemas.protocols import Engine

FULL = 0.95
"""Share of the cache in use above which the number of requests does not grow."""
SMALL = 0.25
"""Share of the allowed requests at which a cache is so small that the user is told."""


class EngineLoad(NamedTuple):
    """An engine's own report after its last step."""

    running: int
    cache_usage: float
    """Share of the key-value cache in use."""
    preemptions: int
    """Requests preempted so far for lack of cache; their tokens must be recomputed."""


class Turns:
    """Hands out turns at an engine, first come, first served.

    After a preemption there are only as many as requests were then running. Then each answer adds to them, up to
    ``most``: a windowful of answers goes half of the way to as many as would fill the cache, if they held as much of it
    as those that run. One more per windowful would be too slow where an answer takes minutes.
    """

    def __init__(self, engine: Engine, most: int) -> None:
        """An engine that reports its load has it as ``load``."""
        self._engine = engine
        self._most = most
        self._window = float(most)
        self._preemptions = 0
        self._told = False
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
            if self._window < SMALL * self._most and not self._told:
                self._told = True
                say(
                    f"stepforge: the engine's key-value cache is full at {self._window:.0f} requests, so others wait; "
                    "engine.kv_cache_gib sets its size",
                    err=True,
                )
        else:
            fitting = load.running * FULL / load.cache_usage if load.cache_usage else 2 * self._window
            room = min(1.0, fitting / self._window - 1)
            self._window = min(self._most, self._window + max(0.0, room) / 2)
