"""Ray actors: a worker with an engine, and one without. Thin: all they do is ``ShardWork``.

A dead engine ends the worker's process; the driver starts another and sends it the shard again, because a shard without
its committed file was never done.
"""

import asyncio
import os
import sys
from typing import Any

from filters import Corpus
from generators.policy import PromptedPolicy
from labelers.rates import Rates
from pipelines.engine_gate import EngineGate, capacity_of
from pipelines.engines import AnyEngine, open_engine
from pipelines.grading import PooledGrader
from pipelines.plan import ShardPlan
from pipelines.run_file import RunFile
from pipelines.shard_work import Engines, ShardDone, ShardWork
from pipelines.store import AnyPath
from schemas.errors import BadInput
from schemas.protocols import EngineDead


class CpuWorker:
    """Does generate, vet and curate."""

    def __init__(self, run: RunFile, folder: AnyPath, session: str) -> None:
        self.work = ShardWork(run, folder, PooledGrader(), None, session)

    async def ready(self) -> bool:
        """Return once the worker can take shards."""
        return True

    async def do(self, stage: Any, shard: ShardPlan, corpus: Corpus, rates: Rates | None) -> ShardDone:
        """Do a stage on a shard."""
        return await self.work.do(stage, shard, corpus, rates)


class EngineWorker:
    """Does solve and label on one engine, which is loaded once for both."""

    def __init__(self, run: RunFile, folder: AnyPath, session: str) -> None:
        self.run = run
        self.folder = folder
        self.session = session
        self.engines: Engines | None = None
        self.work: ShardWork | None = None
        self._loading = asyncio.Lock()

    async def ready(self) -> bool:
        """Load the engine, unless it is loaded.

        Raises:
            BadInput: the model or the engine is not there, or has no chat template where one is asked for.
        """
        async with self._loading:
            if self.work is None:
                try:
                    await self._load()
                except EngineDead as error:
                    _end(f"the engine did not start: {error}")
        return True

    async def do(self, stage: Any, shard: ShardPlan, corpus: Corpus, rates: Rates | None) -> ShardDone:
        """Do a stage on a shard; a dead engine ends this process."""
        await self.ready()
        if self.work is None:
            raise RuntimeError("the engine is not loaded")
        try:
            return await self.work.do(stage, shard, corpus, rates)
        except EngineDead as error:
            _end(f"the engine died: {error}")
            raise

    async def progress(self) -> dict[str, int]:
        """Return the engine's counters since this worker started."""
        return {} if self.engines is None else self.engines.policy.counters()

    async def close(self) -> None:
        """Give the engine back, so that nothing of it outlives the worker."""
        for gate in self.engines or ():
            if gate is not None:
                await gate.close()
        if self.work is not None:
            await self.work.grader.close()

    async def _load(self) -> None:
        engine = await self._gate(self.run.engine)
        judge = await self._gate(self.run.judge) if self.run.judge else None
        try:
            PromptedPolicy(engine.engine, self.run.policy).check()
        except ValueError as error:
            raise BadInput(f"policy.chat: {error}") from None
        self.engines = Engines(engine, judge)
        self.work = ShardWork(self.run, self.folder, PooledGrader(), self.engines, self.session)

    async def _gate(self, settings: AnyEngine) -> EngineGate:
        capacity = self.run.workers.requests_in_flight or capacity_of(settings)
        return EngineGate(await open_engine(settings), capacity)


def _end(why: str) -> None:
    """End the process: an engine that died may hold the GPU until then."""
    sys.stderr.write(f"stepforge worker: {why}\n")
    sys.stderr.flush()
    os._exit(1)
