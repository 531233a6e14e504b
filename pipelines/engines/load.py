"""How much an engine is given: requests according to its reported load, and none while its server is down."""

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple, Protocol, runtime_checkable

from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.protocols import Engine

FULL = 0.95
"""Share of the cache in use above which the number of requests does not grow."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0


class EngineLoad(NamedTuple):
    """An engine's own report after its last step."""

    running: int
    cache_usage: float
    """Share of the key-value cache in use."""
    preemptions: int
    """Requests preempted so far for lack of cache; their tokens must be recomputed."""


@runtime_checkable
class LoadReporting(Protocol):
    @property
    def load(self) -> EngineLoad: ...

    @property
    def max_num_seqs(self) -> int: ...


class Turns:
    """Hands out turns at an engine, first come, first served.

    After a preemption there are only as many as requests were then running; then one more per windowful of answers,
    while the cache is not full, up to ``most`` (additive increase, multiplicative decrease, as TCP does).
    """

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine if isinstance(engine, LoadReporting) else None
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
        if self._engine is not None:
            self._follow(self._engine.load)
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


class Outage:
    """Shared knowledge of whether an engine is up. Belongs to one event loop."""

    def __init__(self, name: str, patience: float, first_wait: float = FIRST_WAIT) -> None:
        """``patience``: seconds to wait before the run ends; ``first_wait`` is doubled from try to try, up to 30 s."""
        self._name = name
        self._patience = patience
        self._first_wait = first_wait
        self._since: float | None = None
        self._said = False
        self.answers = 0
        self.begun = 0
        self._back = asyncio.Event()

    @property
    def waits(self) -> bool:
        return self._patience > 0

    @property
    def seconds(self) -> float:
        return 0.0 if self._since is None else time.monotonic() - self._since

    async def wait(self, reason: str, tries: int) -> None:
        """Wait until it is back, or is worth another try after ``tries`` failures. Raises RunFailed: it has been down
        for longer than the run's patience."""
        if self._since is None:
            self._since = time.monotonic()
            self.begun += 1
            self._back.clear()
        away = time.monotonic() - self._since
        if tries and not self._said:  # a momentary outage is not worth a line
            self._said = True
            message = f"stepforge: {self._name} is down ({reason}); waiting for up to {self._patience:g} s"
            say(message, err=True)  # the reason may hold a server's own words
        if away >= self._patience:
            raise RunFailed(
                f"{self._name} has been down for {away:.0f} s ({reason}); finished work is kept. Start it, or give its "
                "new address, then run the same command to resume"
            )
        seconds = min(self._first_wait * 2**tries, LONGEST_WAIT, self._patience - away)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._back.wait(), seconds)

    def over(self) -> None:
        self.answers += 1
        if self._since is None:
            return
        away = time.monotonic() - self._since
        self._since = None
        self._back.set()
        if self._said:
            self._said = False
            say(f"stepforge: {self._name} is back after {away:.0f} s", err=True)
