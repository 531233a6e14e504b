"""An engine that counts what passes through it, for progress and for the share of time in which it is busy."""

import time
from collections.abc import Sequence

from schemas.protocols import Completion, Engine, EngineIdentity, Message, Prompt, Sampling


class MeteredEngine:
    """Implements ``schemas.protocols.Engine`` by passing everything on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running = self._rollouts = self._tokens = self._cached = self._prompt = 0
        self._busy = 0.0
        self._since = 0.0

    @property
    def identity(self) -> EngineIdentity:
        """Which model this is."""
        return self._engine.identity

    async def complete(self, prompt: Prompt, *, n: int, seed: int, sampling: Sampling) -> list[Completion]:
        """Pass the request on and count it."""
        if self._running == 0:
            self._since = time.monotonic()
        self._running += n
        try:
            completions = await self._engine.complete(prompt, n=n, seed=seed, sampling=sampling)
        finally:
            self._running -= n
            if self._running == 0:
                self._busy += time.monotonic() - self._since
        self._rollouts += len(completions)
        for completion in completions:
            self._tokens += completion.tokens
            self._prompt += completion.prompt_tokens
            self._cached += completion.cached_tokens
        return completions

    def counters(self) -> dict[str, int]:
        """Return rollouts, tokens, requests under way and busy milliseconds so far."""
        busy = self._busy + (time.monotonic() - self._since if self._running else 0.0)
        return {
            "rollouts": self._rollouts,
            "generated_tokens": self._tokens,
            "prompt_tokens": self._prompt,
            "cached_tokens": self._cached,
            "running": self._running,
            "busy_ms": int(busy * 1000),
        }

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        return self._engine.encode(text)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return where each token ends in the decoded text."""
        return self._engine.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template."""
        return self._engine.chat(messages)

    async def close(self) -> None:
        """Give back what the engine holds."""
        await self._engine.close()
