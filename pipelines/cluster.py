"""Ray: a local instance bound to loopback, or the cluster that ``RAY_ADDRESS`` names; and a pool of actors."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pipelines.engines import VllmEngineSettings
from pipelines.run_file import RunFile

MAX_CONCURRENCY = 4096
"""Calls that one async actor takes at a time; shards in flight are bounded elsewhere."""


def start_ray() -> None:
    """Join the cluster of ``RAY_ADDRESS``, or start a local Ray that listens on loopback alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": True}
    if address is None:
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    ray.init(address, **options)


def stop_ray() -> None:
    """Leave the cluster; a local Ray that was started here ends."""
    import ray

    ray.shutdown()


class Pool:
    """Actors that take shards: each is lent to ``in_flight`` shards at a time, the longest idle first."""

    def __init__(self, actors: list[Any], in_flight: int) -> None:
        self.actors = actors
        self._slots: asyncio.Queue[Any] = asyncio.Queue()
        for _ in range(in_flight):
            for actor in actors:
                self._slots.put_nowait(actor)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        """Wait for a free slot and give its actor for the time of a shard."""
        actor = await self._slots.get()
        try:
            yield actor
        finally:
            self._slots.put_nowait(actor)


def engine_pool(run: RunFile, folder: Path) -> Pool:
    """Start the workers with an engine."""
    from pipelines.actors import EngineWorker

    options = {"num_cpus": 0, "num_gpus": engine_gpus(run)}
    return Pool(_start(EngineWorker, run, folder, run.workers.engine, options), run.workers.shards_in_flight)


def cpu_pool(run: RunFile, folder: Path) -> Pool:
    """Start the workers without an engine."""
    from pipelines.actors import CpuWorker

    return Pool(_start(CpuWorker, run, folder, run.workers.cpu, {"num_cpus": 0}), 2)


def _start(kind: type, run: RunFile, folder: Path, count: int, options: dict[str, Any]) -> list[Any]:
    import ray

    restarts = run.workers.max_restarts
    remote = ray.remote(max_concurrency=MAX_CONCURRENCY, max_restarts=restarts, max_task_retries=restarts, **options)(
        kind
    )
    return [remote.remote(run, folder) for _ in range(count)]


def engine_gpus(run: RunFile) -> float:
    """Return the GPUs to reserve for an engine; Ray must have been started."""
    if run.workers.gpus_per_engine is not None:
        return run.workers.gpus_per_engine
    import ray

    wanted = run.engine.tensor_parallel_size if isinstance(run.engine, VllmEngineSettings) else 0
    return float(wanted) if ray.cluster_resources().get("GPU", 0) else 0.0


async def close_all(actors: Iterable[Any]) -> None:
    """End actors in good order; one that is already gone is no error."""
    import ray

    for actor in actors:
        try:
            await asyncio.wait_for(_as_future(actor.close.remote()), 30)
        except (ray.exceptions.RayError, TimeoutError, AttributeError):
            pass
        finally:
            ray.kill(actor, no_restart=True)


async def _as_future(reference: Any) -> Any:
    return await reference
