"""What a pilot asked of its engine: each call with its time, and with how many others it shared the engine."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from schemas.protocols import Completion, Engine, EngineIdentity, Message, Prompt, Sampling

_PROBLEM: ContextVar[str] = ContextVar("problem", default="")


class Call(NamedTuple):
    """One call to an engine."""

    problem: str
    rollouts: int
    tokens: int
    """Generated tokens of its longest completion: how long it held the engine."""
    generated: int
    """Generated tokens of all its completions."""
    seconds: float
    running: float
    """Rollouts under way in the engine meanwhile, these included; mean over the call's time."""


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

    def begin(self, rollouts: int) -> tuple[float, float]:
        """Note that a call begins; return what ``end`` needs."""
        self._advance()
        self._running += rollouts
        return self._at, self._integral

    def end(self, rollouts: int, began: tuple[float, float], completions: Sequence[Completion]) -> None:
        """Note that a call has ended."""
        self._advance()
        self._running -= rollouts
        seconds = self._at - began[0]
        tokens = [c.tokens for c in completions]
        self.calls.append(
            Call(
                problem=_PROBLEM.get(),
                rollouts=rollouts,
                tokens=max(tokens, default=0),
                generated=sum(tokens),
                seconds=seconds,
                running=(self._integral - began[1]) / seconds if seconds > 0 else float(rollouts),
            )
        )

    def _advance(self) -> None:
        now = time.monotonic()
        self._integral += self._running * (now - self._at)
        self._at = now


class TracedEngine:
    """Implements ``schemas.protocols.Engine`` by passing everything on and noting it."""

    def __init__(self, engine: Engine, trace: Trace) -> None:
        self.engine = engine
        self.trace = trace

    @property
    def identity(self) -> EngineIdentity:
        """Which model this is."""
        return self.engine.identity

    async def complete(self, prompt: Prompt, *, n: int, seed: int, sampling: Sampling) -> list[Completion]:
        """Pass the request on and note it."""
        began, completions = self.trace.begin(n), list[Completion]()
        try:
            completions = await self.engine.complete(prompt, n=n, seed=seed, sampling=sampling)
        finally:
            self.trace.end(n, began, completions)
        return completions

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        return self.engine.encode(text)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return where each token ends in the decoded text."""
        return self.engine.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template."""
        return self.engine.chat(messages)

    async def close(self) -> None:
        """Give back what the engine holds."""
        await self.engine.close()
