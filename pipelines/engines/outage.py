"""A server that is down: all its requests wait together, the user sees why, and no row fails for it."""

import asyncio
import time
from contextlib import suppress

from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import RunFailed

FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0


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
        """How often it answered."""
        self._back = asyncio.Event()

    @property
    def waits(self) -> bool:
        return self._patience > 0

    @property
    def seconds(self) -> float:
        """How long it has been down; 0 while it is up."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    async def wait(self, reason: str, tries: int) -> None:
        """Wait until it is back, or is worth another try after ``tries`` failures.

        Raises:
            RunFailed: it has been down for longer than the run's patience.
        """
        if self._since is None:
            self._since = time.monotonic()
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
