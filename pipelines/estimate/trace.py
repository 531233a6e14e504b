"""What a pilot asked of its engine: each call with its time, and with how many others it shared the engine."""

import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from stepforge.pipelines.engines.wrapped_engine import WrappedEngine
from stepforge.schemas.protocols import Completion, Engine, Prompt, Sampling

_PROBLEM: ContextVar[str] = ContextVar("problem", default="")


class Call(NamedTuple):
    """One request to an engine, for one rollout."""

    problem: str
    tokens: int
    """Generated tokens."""
    seconds: float
    running: float
    """Rollouts under way in the engine meanwhile, this one included; mean over the call's time."""


class Trace:
    """Gathers the calls of one phase."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._running = 0
        self._integral = 0.0
        self._at = time.monotonic()

    @contextmanager
    def problem(self, name: str) -> Iterator[None]:
        """Count what is asked in this block, and in the tasks begun there, for a problem."""
        token = _PROBLEM.set(name)
        try:
            yield
        finally:
            _PROBLEM.reset(token)

    async def ask(self, completion: Awaitable[Completion]) -> Completion:
        """Await one completion and note what it took."""
        self._advance()
        self._running += 1
        began, integral, tokens = self._at, self._integral, 0
        try:
            found = await completion
            tokens = found.tokens
        finally:
            self._advance()
            self._running -= 1
            seconds = self._at - began
            running = (self._integral - integral) / seconds if seconds > 0 else 1.0
            self.calls.append(Call(_PROBLEM.get(), tokens, seconds, running))
        return found

    def _advance(self) -> None:
        now = time.monotonic()
        self._integral += self._running * (now - self._at)
        self._at = now


class TracedEngine(WrappedEngine):
    """Passes everything on and notes it."""

    def __init__(self, engine: Engine, trace: Trace) -> None:
        super().__init__(engine)
        self.trace = trace

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        return await self.trace.ask(self.engine.complete(prompt, seed=seed, sampling=sampling))

    async def close(self) -> None:
        await self.engine.close()
