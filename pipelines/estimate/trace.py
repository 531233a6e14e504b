"""What a pilot asked of its engine: each call with its time, and with how many others it shared the engine."""

import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from stepforge.schemas.protocols import Completion, Engine, EngineIdentity, Message, Prompt, Sampling

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


class TracedEngine:
    """Implements ``schemas.protocols.Engine`` by passing everything on and noting it."""

    def __init__(self, engine: Engine, trace: Trace) -> None:
        self.engine = engine
        self.trace = trace

    @property
    def identity(self) -> EngineIdentity:
        """Which model this is."""
        return self.engine.identity

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Pass the request on and note it."""
        return await self.trace.ask(self.engine.complete(prompt, seed=seed, sampling=sampling))

    @property
    def special_tokens(self) -> frozenset[str]:
        """Texts that are read as control tokens."""
        return self.engine.special_tokens

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        return self.engine.encode(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with."""
        return self.engine.encode_prompt(text, bos=bos)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return where each token ends in the decoded text."""
        return self.engine.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template."""
        return self.engine.chat(messages)

    async def close(self) -> None:
        """Give back what the engine holds."""
        await self.engine.close()
