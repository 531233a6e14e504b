"""A pool of workers that take shards. A worker that dies is replaced; one that keeps dying stops the run."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pipelines.engines import VllmEngineSettings
from pipelines.run_file import RunFile
from pipelines.store import AnyPath
from schemas.errors import BadInput, RunFailed

MAX_CONCURRENCY = 4096
"""Calls that one async actor takes at a time; shards in flight are bounded elsewhere."""
HEALTHY_SECONDS = 600.0
"""A worker that lived so long, or committed a shard, did not fail at its start: its death is counted anew."""
CLOSE_SECONDS = 30.0


class Worker:
    """A place for a worker's process: when the process dies, another takes its place."""

    def __init__(self, start: Callable[[], Any], max_restarts: int) -> None:
        self._start = start
        self._max_restarts = max_restarts
        self._deaths = 0
        """In a row, without a committed shard between them."""
        self.restarts = 0
        self.actor = start()
        self._began = time.monotonic()

    async def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Call a method of the worker, on as many processes as it takes.

        Raises:
            BadInput, RunFailed: as the worker raised them.
            RunFailed: the worker died too often in a row, failed in another way, or did not answer in time.
        """
        import ray

        while True:
            actor = self.actor
            try:
                answer = await asyncio.wait_for(_awaited(getattr(actor, method).remote(*arguments)), timeout)
            except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
                self._replace(actor, error)
            except ray.exceptions.RayTaskError as error:
                raise _as_raised(error) from error
            except TimeoutError:
                raise RunFailed("a shard took longer than workers.stage_timeout; run again to go on") from None
            else:
                self._deaths = 0
                return answer

    async def counters(self, seconds: float) -> dict[str, int]:
        """Return the counters of the worker's engine; nothing if it does not answer within ``seconds``."""
        import ray

        try:
            found: dict[str, int] = await asyncio.wait_for(_awaited(self.actor.progress.remote()), seconds)
        except (ray.exceptions.RayError, TimeoutError):
            return {}
        return found

    async def close(self) -> None:
        """End the worker in good order; one that is already gone is no error."""
        import ray

        try:
            await asyncio.wait_for(_awaited(self.actor.close.remote()), CLOSE_SECONDS)
        except (ray.exceptions.RayError, TimeoutError, AttributeError):
            pass
        finally:
            ray.kill(self.actor, no_restart=True)

    def _replace(self, actor: Any, error: Exception) -> None:
        """Start another process, unless a call beside this one has done so already."""
        import ray

        if actor is not self.actor:
            return
        lived = time.monotonic() - self._began
        self._deaths = 1 if lived > HEALTHY_SECONDS else self._deaths + 1
        if self._deaths > self._max_restarts:
            raise RunFailed(
                f"a worker died {self._deaths} times in a row, last after {lived:.0f} s: {_cause(error)}; what is done "
                "is kept. Its last words are above; `stepforge doctor` says what works here; run again to go on"
            )
        ray.kill(actor, no_restart=True)  # one that only seems dead must not hold its GPU
        self.restarts += 1
        self.actor = self._start()
        self._began = time.monotonic()


class Pool:
    """Workers, each lent to ``in_flight`` shards at a time, the longest idle first."""

    def __init__(self, workers: list[Worker], in_flight: int) -> None:
        self.workers = workers
        self._slots: asyncio.Queue[Worker] = asyncio.Queue()
        for _ in range(in_flight):
            for worker in workers:
                self._slots.put_nowait(worker)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Worker]:
        """Wait for a free slot and give its worker for the time of a shard."""
        worker = await self._slots.get()
        try:
            yield worker
        finally:
            self._slots.put_nowait(worker)


def engine_pool(run: RunFile, folder: AnyPath, session: str) -> Pool:
    """Start the workers with an engine."""
    from pipelines.actors import EngineWorker

    options = {"num_cpus": 0, "num_gpus": _gpus(run)}
    workers = _workers(EngineWorker, run, folder, session, run.workers.engine, options)
    return Pool(workers, run.workers.shards_in_flight)


def cpu_pool(run: RunFile, folder: AnyPath, session: str) -> Pool:
    """Start the workers without an engine."""
    from pipelines.actors import CpuWorker

    return Pool(_workers(CpuWorker, run, folder, session, run.workers.cpu, {"num_cpus": 0}), 2)


def _workers(
    kind: type, run: RunFile, folder: AnyPath, session: str, count: int, options: dict[str, Any]
) -> list[Worker]:
    import ray

    # Ray's own restarts count over the whole run and repeat a call on the same broken process; ours do neither.
    remote = ray.remote(max_concurrency=MAX_CONCURRENCY, max_restarts=0, max_task_retries=0, **options)(kind)
    return [Worker(lambda: remote.remote(run, folder, session), run.workers.max_restarts) for _ in range(count)]


def _gpus(run: RunFile) -> float:
    if run.workers.gpus_per_engine is not None:
        return run.workers.gpus_per_engine
    import ray

    wanted = run.engine.tensor_parallel_size if isinstance(run.engine, VllmEngineSettings) else 0
    return float(wanted) if ray.cluster_resources().get("GPU", 0) else 0.0


def _as_raised(error: Any) -> Exception:
    """A worker's own clear errors as they were raised, and anything else in one line."""
    cause = error.cause
    if isinstance(cause, BadInput | RunFailed):
        return type(cause)(str(cause))
    return RunFailed(f"a worker failed: {type(cause).__name__}: {cause}; run again to go on")


def _cause(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:400] or type(error).__name__


async def _awaited(reference: Any) -> Any:
    return await reference
