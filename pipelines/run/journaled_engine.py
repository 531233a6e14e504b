"""An engine as one shard sees it: what its journal holds is not asked again, and what is asked is journalled."""

import asyncio
from collections.abc import Sequence

from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.storage.journal import Journal, RequestKeys
from stepforge.schemas.protocols import Completion, EngineIdentity, Message, Prompt, Sampling
from stepforge.schemas.seeds import seed_of


class JournaledEngine:
    """Implements ``schemas.protocols.Engine``; every completion is a request of its own, kept as soon as it is there.

    A failed completion is not journalled: after a kill the engine may do better.
    """

    def __init__(self, gate: EngineGate, journal: Journal) -> None:
        self._gate = gate
        self._journal = journal
        self._name = gate.engine.identity.model_dump_json().encode()
        self.seconds = 0.0
        """This shard's share of the engine's busy time."""

    @property
    def identity(self) -> EngineIdentity:
        """Which model this is."""
        return self._gate.engine.identity

    @property
    def special_tokens(self) -> frozenset[str]:
        """Texts that are read as control tokens."""
        return self._gate.engine.special_tokens

    async def complete(
        self, prompt: Prompt, *, n: int, seed: int, sampling: Sampling, first: int = 0
    ) -> list[Completion]:
        """Return ``n`` completions; see ``Engine.complete``."""
        keys = RequestKeys(self._name, prompt, sampling)
        wanted = (self._one(keys, prompt, i, seed, sampling) for i in range(first, first + n))
        return [await next(wanted)] if n == 1 else await asyncio.gather(*wanted)

    async def _one(self, keys: RequestKeys, prompt: Prompt, number: int, seed: int, sampling: Sampling) -> Completion:
        key = keys.of(seed_of(seed, number))
        known = self._journal.find(key)
        if known is not None:
            return known
        completion, seconds = await self._gate.ask(prompt, first=number, seed=seed, sampling=sampling)
        self.seconds += seconds
        if completion.finish != "error":
            self._journal.add(key, completion)
        return completion

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        return self._gate.engine.encode(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with."""
        return self._gate.engine.encode_prompt(text, bos=bos)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return where each token ends in the decoded text."""
        return self._gate.engine.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template."""
        return self._gate.engine.chat(messages)

    async def close(self) -> None:
        """Do nothing: the engine belongs to the worker."""
