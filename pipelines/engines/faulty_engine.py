"""A scripted engine with which things go wrong: it hangs, it is slow, it answers nonsense, it dies."""

import asyncio
from collections.abc import Sequence
from random import Random

from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import Faults
from stepforge.schemas.protocols import Completion, EngineDead, EngineIdentity, Message, Prompt, Sampling
from stepforge.schemas.seeds import rng_of

SLOW = 100
"""How many times longer a slow request takes."""


class FaultyEngine:
    """Implements ``schemas.protocols.Engine``; what is not hit by a fault is answered as by the engine behind it."""

    def __init__(self, engine: ScriptedEngine, faults: Faults, latency_ms: float) -> None:
        """Start, or not.

        Raises:
            EngineDead: ``dead_on_start``.
        """
        if faults.dead_on_start:
            raise EngineDead("dead on start, as asked for by dead_on_start")
        self._engine = engine
        self._faults = faults
        self._latency = latency_ms / 1000
        self._asked = 0

    @property
    def identity(self) -> EngineIdentity:
        """Says that there is no model."""
        return self._engine.identity

    @property
    def special_tokens(self) -> frozenset[str]:
        """There are none."""
        return frozenset()

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Return one continuation, or do what the faults say; see ``Engine.complete``."""
        self._asked += 1
        if self._faults.dies_after is not None and self._asked > self._faults.dies_after:
            raise EngineDead(f"dead after {self._faults.dies_after} requests, as asked for by dies_after")
        rng = rng_of("fault", seed)
        if rng.random() < self._faults.hang_rate:
            await asyncio.Event().wait()
        if rng.random() < self._faults.slow_rate:
            await asyncio.sleep((SLOW - 1) * self._latency)
        answer = await self._engine.complete(prompt, seed=seed, sampling=sampling)
        return _garbled(answer, rng) if rng.random() < self._faults.garbage_rate else answer

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the code points of a text."""
        return self._engine.encode(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with."""
        return self._engine.encode_prompt(text, bos=bos)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return 1, 2, 3 and so on."""
        return self._engine.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """There is no chat template; see ``ScriptedEngine.chat``."""
        return self._engine.chat(messages)

    async def close(self) -> None:
        """Refuse further calls."""
        await self._engine.close()


def _garbled(answer: Completion, rng: Random) -> Completion:
    """An answer that cannot be true: its tokens cannot be those of its text."""
    updates: list[dict[str, object]] = [
        {"tokens": 0},
        {"token_ids": (*answer.token_ids, 7)},
        {
            "token_ids": tuple(-1 - i for i in (*answer.token_ids, 0)),
            "text": answer.text + "x",
            "token_ends": (*answer.token_ends, len(answer.text) + 1),
        },
        {"text": answer.text + "?"},
        {"text": "ab", "token_ids": (97, 98, 99), "token_ends": (2, 1, 2)},
    ]
    return answer.model_copy(update=rng.choice(updates))
