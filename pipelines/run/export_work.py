"""Writing data sets on the workers: all parts of shards first, then all joins."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from stepforge.pipelines.datasets.writer import export_all, export_job
from stepforge.pipelines.run.cluster import start_ray, stop_ray
from stepforge.pipelines.run.pool import Pool, cpu_pool
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout

LEAST_SHARDS = 8
"""With fewer, starting workers takes longer."""


async def export_on(pool: Pool, run: RunFile, layout: Layout) -> None:
    with export_job(run, layout) as job:
        await _all(pool, [partial(job.make_part, index) for index in job.shards()])
        await _all(pool, [partial(job.join, name) for name in job.names])


def export_apart(run: RunFile, layout: Layout, session: str) -> None:
    """Write the exports outside a run: on new workers if the run has several, else in this process."""
    if run.workers.cpu == 1 or len(layout.shards("curate")) < LEAST_SHARDS:
        export_all(run, layout)
        return

    async def work() -> None:
        pool = cpu_pool(run, layout.folder, session)
        try:
            await export_on(pool, run, layout)
        finally:
            await pool.close()

    start_ray()
    try:
        asyncio.run(work())
    finally:
        stop_ray()


async def _all(pool: Pool, tasks: Iterable[Callable[[], None]]) -> None:
    calls: list[Awaitable[Any]] = [pool.call("call", task, rank=(number,)) for number, task in enumerate(tasks)]
    await asyncio.gather(*calls)
