"""An engine as one shard sees it: what its journal holds is not asked again, and what is asked is journaled."""

from collections.abc import Sequence

from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.storage.journal import Journal, request_key
from stepforge.schemas.protocols import Completion, EngineIdentity, Message, Prompt, Sampling

LET_DOWN = 8
"""How often a request may find nobody while others are answered."""


class JournaledEngine:
    """Implements ``schemas.protocols.Engine``; every completion is a request of its own, kept as soon as it is there.

    A failed completion is not journaled: after a kill the engine may do better. While the engine is away, what it is
    asked waits.
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

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Return one completion; see ``Engine.complete``."""
        key = request_key(self._name, prompt, seed, sampling)
        known = self._journal.find(key)
        if known is not None:
            return known
        completion = await self._asked(prompt, seed, sampling)
        if completion.finish != "error":
            self._journal.add(key, completion)
        return completion

    async def _asked(self, prompt: Prompt, seed: int, sampling: Sampling) -> Completion:
        """Ask until somebody answers: that nobody does says nothing about the row.

        A request that is let down again and again while others are answered fails by itself.
        """
        outage, tries, let_down = self._gate.outage, 0, 0
        while True:
            before = outage.answers
            completion, seconds = await self._gate.ask(prompt, seed=seed, sampling=sampling)
            self.seconds += seconds
            if completion.cause != "away":
                outage.over()
                return completion
            let_down += outage.answers > before
            if let_down > LET_DOWN:
                return completion.model_copy(update={"cause": "server"})
            await outage.wait(completion.error or "no answer", tries)
            tries += 1

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
