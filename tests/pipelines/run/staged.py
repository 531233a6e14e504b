"""The first shard of a run through all stages in this process, without Ray."""

import asyncio
from pathlib import Path

from stepforge.filters import Corpus
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.shard_work import Engines, ShardWork
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.plan import plan_shards
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.protocols import Engine, Scorer


def staged(
    run: RunFile, folder: Path, engine: Engine, scorer: Scorer | None = None
) -> tuple[Layout, list[ShardReport]]:
    layout, plan = Layout(folder), plan_shards(run, folder)
    write_text(layout.run_file, run.toml())

    async def work() -> list[ShardReport]:
        gate = EngineGate(engine, 64)
        async with PooledGrader() as grader:
            shards = ShardWork(run, folder, grader, Engines({"engine": gate}, scorer))
            reports = [(await shards.do(stage, plan[0], Corpus())).report for stage in SHARD_STAGES]
        await engine.close()
        return reports

    return layout, asyncio.run(work())
