"""Ray actors: a worker with an engine, and one without. Thin: all they do is ``ShardWork``.

A dead engine ends the worker's process; Ray starts it anew and sends it the shard again, because a shard without
its committed file was never done.
"""

import os
import sys
from pathlib import Path
from typing import Any

from filters import Corpus
from generators.policy import PromptedPolicy
from labelers.rates import Rates
from pipelines.collection import collect_seldom
from pipelines.engines import open_engine
from pipelines.grading import PooledGrader
from pipelines.ledger import ShardReport
from pipelines.metering import MeteredEngine
from pipelines.plan import ShardPlan
from pipelines.run_file import RunFile
from pipelines.shard_work import ShardWork
from schemas.errors import BadInput
from schemas.protocols import Engine, EngineDead


class CpuWorker:
    """Does generate, vet and curate."""

    def __init__(self, run: RunFile, folder: Path) -> None:
        self.work = ShardWork(run, folder, PooledGrader(), None)
        collect_seldom()

    async def ready(self) -> bool:
        """Return once the worker can take shards."""
        return True

    async def do(self, stage: Any, shard: ShardPlan, corpus: Corpus, rates: Rates | None) -> ShardReport:
        """Do a stage on a shard."""
        return await self.work.do(stage, shard, corpus, rates)


class EngineWorker:
    """Does solve and label on one engine, which is loaded once for both."""

    def __init__(self, run: RunFile, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.engine: MeteredEngine | None = None
        self.judge: Engine | None = None
        self.work: ShardWork | None = None

    async def ready(self) -> bool:
        """Load the engine, unless it is loaded.

        Raises:
            BadInput: the model or the engine is not there, or has no chat template where one is asked for.
        """
        if self.work is None:
            self.engine = MeteredEngine(await open_engine(self.run.engine))
            self.judge = await open_engine(self.run.judge) if self.run.judge else None
            policy = PromptedPolicy(self.engine, self.run.policy, self.judge)
            try:
                policy.check()
            except ValueError as error:
                raise BadInput(f"policy.chat: {error}") from None
            self.work = ShardWork(self.run, self.folder, PooledGrader(), policy)
            collect_seldom()
        return True

    async def do(self, stage: Any, shard: ShardPlan, corpus: Corpus, rates: Rates | None) -> ShardReport:
        """Do a stage on a shard; a dead engine ends this process."""
        await self.ready()
        if self.work is None:
            raise RuntimeError("the engine is not loaded")
        try:
            return await self.work.do(stage, shard, corpus, rates)
        except EngineDead as error:
            sys.stderr.write(f"engine dead, worker ends: {error}\n")
            sys.stderr.flush()
            os._exit(1)

    async def progress(self) -> dict[str, int]:
        """Return the engine's counters since this worker started."""
        return {} if self.engine is None else self.engine.counters()

    async def close(self) -> None:
        """Give the engine back, so that nothing of it outlives the worker."""
        for engine in (self.engine, self.judge):
            if engine is not None:
                await engine.close()
        if self.work is not None:
            await self.work.grader.close()
