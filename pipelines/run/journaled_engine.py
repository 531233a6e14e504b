"""An engine as one shard sees it: what its journal holds is not asked again, and what is asked is journaled."""

from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.engines.wrapped_engine import WrappedEngine
from stepforge.pipelines.storage.journal import Journal, request_key
from stepforge.schemas.protocols import Completion, Prompt, Sampling

LET_DOWN = 8
"""How often a request may find nobody while others are answered."""


class JournaledEngine(WrappedEngine):
    """Every completion is a request of its own, kept as soon as it is there.

    A failed completion is not journaled: after a kill the engine may do better. While the engine is away, what it is
    asked waits.
    """

    def __init__(self, gate: EngineGate, journal: Journal) -> None:
        super().__init__(gate.engine)
        self._gate = gate
        self._journal = journal
        self._name = self.identity.model_dump_json().encode()
        self.seconds = 0.0
        """This shard's share of the engine's busy time."""

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
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

    async def close(self) -> None:
        """The engine belongs to the worker."""
