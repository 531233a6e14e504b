"""A pool of workers that take shards. A worker that dies is replaced; one that keeps dying stops the run.

A call goes to any free worker. If that worker dies, another takes over the call immediately, and the dead one's slots
return when its replacement is ready, which on a cluster may have to wait for room.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from stepforge.pipelines.engines import VllmEngineSettings
from stepforge.pipelines.run.cluster import ray_is_lost
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.store import AnyPath, io_failure
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.protocols import EngineDead

MAX_CONCURRENCY = 4096
"""Calls that one async actor takes at a time; shards in flight are bounded elsewhere."""
HEALTHY_SECONDS = 600.0
"""A worker that lived this long, or committed a shard, did not fail at startup: its death count restarts."""
LOOK_SECONDS = 5.0
"""Seconds between checks whether a worker that is not up can still come up."""
CLOSE_SECONDS = 30.0
SLOW_START_SECONDS = 120.0
"""After which a worker that is not up is reported: on a cluster without room for it, it never will be."""


class WorkerDied(Exception):
    """The process that handled a call is gone."""


class Worker:
    """A slot for a worker's process: when the process dies, another replaces it."""

    def __init__(self, start: Callable[[], Any], max_restarts: int) -> None:
        self._start = start
        self._max_restarts = max_restarts
        self._deaths = 0
        """In a row, without a finished call between them."""
        self.failure: Exception | None = None
        self.actor = start()
        self._began = time.monotonic()
        self._starting: asyncio.Task[None] | None = None

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker.

        Raises:
            WorkerDied: its process or its engine is gone.
            BadInput, RunFailed: as the worker raised them; any other error is a RunFailed.
        """
        import ray

        actor = self.actor
        try:
            answer = await getattr(actor, method).remote(*arguments)
        except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
            self._bury(actor, error)
            raise WorkerDied from error
        except ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, EngineDead):
                raise _as_raised(error) from error
            self._bury(actor, error.cause)
            raise WorkerDied from error
        if method != "ready":
            self._deaths = 0
        return answer

    def started(self) -> "asyncio.Task[None]":
        """Return the task that ends when the worker accepts calls, or never will; shared by all callers."""
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._get_ready())
        return self._starting

    async def counters(self, seconds: float) -> dict[str, int]:
        """Return the counters of the worker's engine; nothing if it does not answer within ``seconds``."""
        import ray

        try:
            async with asyncio.timeout(seconds):
                return dict(await self.actor.progress.remote())
        except (ray.exceptions.RayError, TimeoutError):
            return {}

    async def close(self) -> None:
        import ray

        if self._starting is not None:
            self._starting.cancel()
        try:
            if self.failure is None:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.actor.close.remote()
        except (ray.exceptions.RayError, TimeoutError, AttributeError):
            pass
        finally:
            ray.kill(self.actor, no_restart=True)

    async def _get_ready(self) -> None:
        while self.failure is None:
            try:
                await self._ready()
            except WorkerDied:
                continue
            except (BadInput, RunFailed) as error:
                self.failure = error
            return

    async def _ready(self) -> None:
        """Wait for the worker's process, unless it has no machine left to run on."""
        ready = asyncio.get_running_loop().create_task(self.call("ready"))
        try:
            while not (await asyncio.wait([ready], timeout=LOOK_SECONDS))[0]:
                if await asyncio.to_thread(ray_is_lost):
                    raise RunFailed(
                        "the local Ray has died: its raylet is gone; finished work is kept, "
                        "run the same command to resume"
                    )
            await ready
        finally:
            ready.cancel()

    def _bury(self, actor: Any, error: Exception) -> None:
        """Start another process, unless a concurrent call has already done so."""
        import ray

        if actor is not self.actor or self.failure is not None:
            return
        lived = time.monotonic() - self._began
        self._deaths = 1 if lived > HEALTHY_SECONDS else self._deaths + 1
        if self._deaths > self._max_restarts:
            self.failure = RunFailed(
                f"a worker died {self._deaths} times in a row, last after {lived:.0f} s: {_cause(error)}; finished "
                "work is kept. Its last output is above, and `stepforge doctor` shows what works here; fix the cause "
                "and run the same command to resume"
            )
            return
        ray.kill(actor, no_restart=True)  # one that only seems dead must not keep its GPU
        self.actor = self._start()
        self._began = time.monotonic()
        self._starting = None


Rank = tuple[int, ...]
"""Priority: the lowest is served first."""


@dataclass(order=True)
class _Call:
    rank: Rank
    number: int
    method: str = field(compare=False)
    arguments: tuple[Any, ...] = field(compare=False)
    answer: "asyncio.Future[Any]" = field(compare=False)

    def settle(self, error: Exception | None, answer: Any = None) -> None:
        if self.answer.done():  # the caller is gone
            return
        if error is None:
            self.answer.set_result(answer)
        else:
            self.answer.set_exception(error)


class Pool:
    """Workers, each with ``in_flight`` slots for shards. Belongs to one event loop."""

    def __init__(self, workers: Sequence[Worker], in_flight: int) -> None:
        self.workers = workers
        self._calls: asyncio.PriorityQueue[_Call] = asyncio.PriorityQueue()
        self._numbers = count()
        loop = asyncio.get_running_loop()
        self._slots = [loop.create_task(self._serve(worker)) for _ in range(in_flight) for worker in workers]
        self._warning = loop.call_later(SLOW_START_SECONDS, self._warn)
        self._closing = False

    async def call(self, method: str, *arguments: Any, rank: Rank = ()) -> Any:
        """Have a free worker make a call, and another if it dies; while none is free, the lowest rank goes first.
        Raises BadInput, RunFailed: as the worker raised them, or because a worker cannot be restarted."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls.put_nowait(_Call(rank, next(self._numbers), method, arguments, answer))
        return await answer

    async def close(self) -> None:
        self._closing = True
        self._warning.cancel()
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in self.workers))

    async def _serve(self, worker: Worker) -> None:
        """Give a worker one call after another; if it dies, its call goes to the first free worker."""
        while not self._closing:  # a cancellation may be lost where it meets the answer
            await asyncio.wait([worker.started()])
            call = await self._calls.get()
            if worker.failure is not None or call.answer.done():
                call.settle(worker.failure)
                continue
            try:
                answer = await worker.call(call.method, *call.arguments)
            except WorkerDied:
                self._calls.put_nowait(call)
            except Exception as error:
                call.settle(error)
            else:
                call.settle(None, answer)

    def _warn(self) -> None:
        late = sum(not worker.started().done() for worker in self.workers)
        if late:
            up = f"{late} of {len(self.workers)} workers are not up after {SLOW_START_SECONDS:.0f} s"
            say(f"stepforge: {up}: still loading, or the cluster has no room for them", err=True)


def engine_pool(run: RunFile, folder: AnyPath, session: str) -> Pool:
    from stepforge.pipelines.run.actors import EngineWorker

    options = {"num_cpus": 0, "num_gpus": engine_gpus(run)}
    workers = _workers(EngineWorker, run, folder, session, run.workers.engine, options)
    return Pool(workers, run.workers.shards_in_flight)


def cpu_pool(run: RunFile, folder: AnyPath, session: str) -> Pool:
    from stepforge.pipelines.run.actors import CpuWorker

    return Pool(_workers(CpuWorker, run, folder, session, run.workers.cpu, {"num_cpus": 0}), 2)


def _workers(
    kind: type, run: RunFile, folder: AnyPath, session: str, number: int, options: Mapping[str, float]
) -> list[Worker]:
    import ray

    # Ray's own restarts count over the whole run and retry a call on the same broken process; ours do neither.
    remote = ray.remote(max_concurrency=MAX_CONCURRENCY, max_restarts=0, max_task_retries=0, **options)(kind)
    return [Worker(lambda: remote.remote(run, folder, session), run.workers.max_restarts) for _ in range(number)]


def engine_gpus(run: RunFile) -> float:
    """Return the GPUs to reserve for an engine; Ray must be running."""
    if run.workers.gpus_per_engine is not None:
        return run.workers.gpus_per_engine
    import ray

    engines = (run.engine, *run.engines.values())  # they share what is reserved
    wanted = max((engine.gpus for engine in engines if isinstance(engine, VllmEngineSettings)), default=0)
    return float(wanted) if ray.cluster_resources().get("GPU", 0) else 0.0


def _as_raised(error: Any) -> Exception:
    """Return a worker's own clear errors unchanged, and anything else as one line."""
    cause = error.cause
    if isinstance(cause, BadInput | RunFailed):
        return type(cause)(str(cause))
    if isinstance(cause, OSError):
        return io_failure(cause)
    return RunFailed(f"a worker failed: {type(cause).__name__}: {cause}; run the same command to resume")


def _cause(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:400] or type(error).__name__
