"""An engine as one shard sees it: completions in the journal are reused, and new ones are journaled."""

from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.engines.text_engine import WrappedEngine
from stepforge.pipelines.storage.journal import Journal, request_key
from stepforge.schemas.protocols import Completion, Prompt, Sampling

LET_DOWN = 8
"""How often a request may get no answer while others are answered."""


class JournaledEngine(WrappedEngine):
    """Every completion is a separate request, journaled as soon as it arrives.

    A failed one is not: after a kill the engine may do better. While the engine is down, requests wait.
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
        """Retry until the engine answers: an outage says nothing about the row.

        A request that fails twice in a row while others are answered fails alone. Once is not enough: the server may
        have been down, and have come back before it was asked about the others.
        """
        outage, tries, let_down, alone = self._gate.outage, 0, 0, False
        while True:
            before = outage.answers
            completion, seconds = await self._gate.ask(prompt, seed=seed, sampling=sampling)
            self.seconds += seconds
            doubtful = completion.cause == "server" and outage.waits
            away = not await self._gate.answers() if doubtful else completion.cause == "away"
            if not away:
                outage.over()
                if alone or not doubtful:
                    return completion
                alone = True
                continue
            let_down += alone or outage.answers > before
            alone = False
            if let_down > LET_DOWN:
                return completion.model_copy(update={"cause": "server"})
            await outage.wait(completion.error or "no answer", tries)
            tries += 1

    async def close(self) -> None:
        """The engine belongs to the worker."""
