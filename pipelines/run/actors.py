"""Ray actors: a worker with an engine, and one without. Thin: all that they do is ``ShardWork``.

A worker whose engine is dead reports ``EngineDead``; the driver ends its process, starts another and sends the shard
again, because a shard without its committed file is not done.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from stepforge.filters import Corpus
from stepforge.generators.policy import PromptedPolicy
from stepforge.pipelines.engines import AnyEngine, TransformersEngineSettings, VllmEngineSettings
from stepforge.pipelines.engines.gate import EngineGate, capacity_of, limit_of, outage_of
from stepforge.pipelines.engines.model_files import identity_of
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.garbage_collection import collect_seldom
from stepforge.pipelines.run.probe import fitting, naming_engine, probe
from stepforge.pipelines.run.shard_work import Engines, ShardDone, ShardWork
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.run_folder.settings_guard import check_models
from stepforge.pipelines.scorers import open_scorer
from stepforge.pipelines.settings.run_file import RunFile, engines_by_table, runs_by_table
from stepforge.pipelines.storage.layout import ShardStage
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Engine, EngineIdentity
from stepforge.schemas.record import Record


class CpuWorker(ShardWork):
    def __init__(self, run: RunFile, folder: AnyPath, session: str) -> None:
        super().__init__(run, folder, PooledGrader(), None, session)
        self._alone = asyncio.Lock()
        collect_seldom()

    async def ready(self) -> None:
        """A worker that answers is ready."""

    async def call(self, task: Callable[[], None]) -> None:
        """Do other work than a stage of a shard, one call at a time."""
        async with self._alone:
            await asyncio.to_thread(self.check_session)
            await asyncio.to_thread(task)

    async def close(self) -> None:
        await self.grader.close()
        await asyncio.get_running_loop().shutdown_default_executor()


class EngineWorker(CpuWorker):
    """Does solve and label on one engine, which is loaded once for both."""

    def __init__(self, run: RunFile, folder: AnyPath, session: str) -> None:
        super().__init__(run, folder, session)
        self._under_way: set[asyncio.Task[ShardDone]] = set()
        self._loading = asyncio.Lock()
        self._tried = False

    async def ready(self) -> None:
        async with self._loading:
            await self._loaded()

    async def do(self, stage: ShardStage, shard: ShardPlan, corpus: Corpus, rates: Record | None = None) -> ShardDone:
        await self._probe(stage, shard)
        task = asyncio.create_task(super().do(stage, shard, corpus, rates))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await task

    async def progress(self) -> dict[str, int]:
        """Return the counters of the worker's engines since it started: sums, and the longest times."""
        if self.engines is None:
            return {}
        counters = [gate.counters() for gate in self.engines.by_table.values()]
        most = {key: max(one[key] for one in counters) for key in ("away_seconds", "busy_ms")}
        summed = {key: sum(one[key] for one in counters) for key in counters[0]}
        return summed | most | {"checking": int(self._loading.locked())}

    async def close(self) -> None:
        """Drop work in progress, except for files being written, and release the engine."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if (engines := self.engines) is not None:
            for gate in engines.by_table.values():
                await gate.engine.close()
            if engines.scorer is not None:
                await engines.scorer.close()
        await super().close()

    async def _loaded(self) -> Engines[EngineGate]:
        if self.engines is None:
            check = partial(check_models, self.run, self.layout)
            opened = await open_models(self.run, partial(check, record=False))
            named = {table: engine.identity for table, engine in opened.by_table.items()}
            await asyncio.to_thread(check, named, record=True)
            settings = engines_by_table(self.run)
            self.engines = opened.each(lambda table, engine: self._gate(settings[table], engine))
            collect_seldom()
        return self.engines

    async def _probe(self, stage: ShardStage, shard: ShardPlan) -> None:
        """Check the engine on the first shard with problems, before sampling for it."""
        async with self._loading:
            engines = await self._loaded()
            if self._tried:
                return
            problem = fitting(await asyncio.to_thread(self.problems, stage, shard))
            if problem is not None:
                for table, run in runs_by_table(self.run).items():
                    with naming_engine(table):
                        await probe(engines.by_table[table].engine, run, problem)
                self._tried = True

    def _gate(self, settings: AnyEngine, engine: Engine) -> EngineGate:
        capacity = self.run.workers.requests_in_flight or capacity_of(settings, engine)
        return EngineGate(engine, capacity, limit_of(settings), outage_of(settings))


async def open_models(
    run: RunFile, check: Callable[[Mapping[str, EngineIdentity]], None] = lambda found: None
) -> Engines[Engine]:
    """Start a run's engines, and the judge's and the reward model where it names them.

    ``check`` is given the models by table: all local ones before any is loaded, and those that only an open engine
    tells, such as a server, before the local ones are loaded.

    Raises:
        BadInput: one is not there, or has no chat template where one is asked for; or as ``check`` raises it.
        EngineDead: one did not start.
    """
    asked = engines_by_table(run)
    local: dict[str, EngineIdentity] = {}
    for table, settings in asked.items():
        if isinstance(settings, VllmEngineSettings | TransformersEngineSettings):
            with naming_engine(table):
                local[table] = await asyncio.to_thread(identity_of, settings)
    await asyncio.to_thread(check, local)
    engines: dict[str, Engine] = {}
    for table in sorted(asked, key=local.__contains__):
        with naming_engine(table):
            engines[table] = await asked[table].open()
        await asyncio.to_thread(check, {table: engines[table].identity})
    for table, one in runs_by_table(run).items():
        try:
            PromptedPolicy(engines[table], one.policy).check()
        except ValueError as error:
            raise BadInput(f"policy.chat: {error}") from None
    return Engines(engines, await open_scorer(run.scorer) if run.scorer else None)
