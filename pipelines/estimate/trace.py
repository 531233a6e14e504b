"""A pilot's engine calls: each with its time, and how many others shared the engine."""

import time
from typing import NamedTuple

from stepforge.pipelines.engines.wrapped_engine import WrappedEngine
from stepforge.schemas.protocols import Completion, Engine, Prompt, Sampling


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
