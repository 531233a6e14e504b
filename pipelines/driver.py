"""One run: plan the shards, send each through the stages, balance the books, export, report.

A shard goes on to the next stage as soon as it is ready; only the vetting of duplicates waits for every problem to
be there. What a committed file says is done is never done again: the same command resumes.
"""

import asyncio
import fcntl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filters import Corpus, Duplicates, question_key
from labelers.rates import Rates
from pipelines.cluster import Pool, close_all, cpu_pool, engine_pool, start_ray, stop_ray
from pipelines.datasets_out import export_all
from pipelines.layout import SHARD_STAGES, Layout, ShardStage
from pipelines.ledger import ShardReport, past_sessions, write_ledger
from pipelines.pilot import pilot_shards, rates_of_run, settle_shard
from pipelines.plan import ShardPlan, plan_shards
from pipelines.progress import Progress
from pipelines.report import write_report
from pipelines.run_file import RunFile
from pipelines.settings_guard import guard_settings
from pipelines.shards import read_columns
from pipelines.stopping import Stopping
from schemas.errors import BadInput, RunFailed

ENGINE_STAGES = ("solve", "label")


def run_all(run: RunFile, folder: Path, *, quiet: bool = False, as_json: bool = False) -> dict[str, Any]:
    """Do everything of a run that is not done yet, and return its report.

    Raises:
        BadInput: nothing was started.
        RunFailed: what is done is kept; the line says how to go on.
        Stopped: by a signal; the workers are closed, and what is done is kept.
    """
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with Stopping() as stopping, only_driver(layout):
        guard_settings(run, layout)
        plan = plan_shards(run, folder)
        began = time.time()
        pending = [shard for shard in plan if layout.first_missing(shard.index) is not None]
        if pending:
            try:
                with stopping.held():
                    start_ray()
                progress = Progress(layout, plan, quiet=quiet, as_json=as_json, run=run)
                stopping.run(_Flow(run, layout, plan, progress).run(pending))
            finally:
                with stopping.held():
                    stop_ray()
        return finish(run, layout, session=_session(began, len(pending)))


def finish(run: RunFile, layout: Layout, *, session: dict[str, Any] | None = None) -> dict[str, Any]:
    """Balance the books, export and report what is committed."""
    sessions = [*past_sessions(layout), *([session] if session else [])]
    ledger = write_ledger(layout, sessions)
    _check_failures(run, ledger)
    export_all(run, layout)
    return write_report(run, layout, ledger)


class _Flow:
    """The shards on their way through the stages."""

    def __init__(self, run: RunFile, layout: Layout, plan: list[ShardPlan], progress: Progress) -> None:
        self.run_file = run
        self.layout = layout
        self.plan = plan
        self.progress = progress
        self.corpus: dict[str, str] = {}
        self.pilot = pilot_shards(run, plan)
        self.rates: asyncio.Future[Rates] | None = None
        """Done once the pilot is labelled; None where nothing is pooled."""
        self.labelled = {shard.index: asyncio.Event() for shard in self.pilot}

    async def run(self, pending: list[ShardPlan]) -> None:
        cpu = cpu_pool(self.run_file, self.layout.folder)
        engines = self._engines(pending)
        pools = [cpu, *([engines] if engines else [])]
        watcher = asyncio.create_task(self.progress.watch(engines.actors if engines else []))
        try:
            ready = asyncio.gather(*(_result(actor.ready.remote()) for pool in pools for actor in pool.actors))
            await _all(self._stage("generate", shard, cpu) for shard in self.plan)
            self.corpus = self._duplicates()
            await ready
            if self.pilot:
                self.rates = asyncio.get_running_loop().create_future()
                for index, labelled in self.labelled.items():
                    if self.layout.shard("label", index).exists():
                        labelled.set()
            await _all([*(self._shard(shard, cpu, engines) for shard in pending), self._pool_rates()])
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            self.progress.close()
            await close_all(actor for pool in pools for actor in pool.actors)

    def _engines(self, pending: list[ShardPlan]) -> Pool | None:
        """Load no engine where nothing is left to sample."""
        wanted = any(self.layout.first_missing(shard.index) != "curate" for shard in pending)
        return engine_pool(self.run_file, self.layout.folder) if wanted else None

    async def _shard(self, shard: ShardPlan, cpu: Pool, engines: Pool | None) -> None:
        for stage in SHARD_STAGES[1:]:
            if stage == "label":
                await self._rates_for(shard)  # before a slot is taken: the pilot needs the slots
            pool = engines if stage in ENGINE_STAGES and engines is not None else cpu
            await self._stage(stage, shard, pool)
            if stage == "label" and self.rates is not None and shard.index in self.labelled:
                self.labelled[shard.index].set()
                await asyncio.to_thread(settle_shard, self.run_file, self.layout, shard, await self.rates)

    async def _stage(self, stage: ShardStage, shard: ShardPlan, pool: Pool) -> None:
        if self.layout.shard(stage, shard.index).exists():
            return
        self.layout.forget_after(stage, shard.index)
        async with pool.lend() as actor:
            corpus = Corpus(duplicate_of=self._known(shard) if stage == "vet" else {})
            rates = await self._rates_for(shard) if stage == "label" else None
            report: ShardReport = await _result(
                actor.do.remote(stage, shard, corpus, rates), timeout=self.run_file.workers.stage_timeout
            )
        report.check()
        self.progress.done(report)

    async def _rates_for(self, shard: ShardPlan) -> Rates | None:
        """Wait for the pilot, unless the shard is part of it."""
        return None if self.rates is None or shard in self.pilot else await self.rates

    async def _pool_rates(self) -> None:
        """Pool the rates as soon as every shard of the pilot is labelled."""
        if self.rates is None:
            return
        for labelled in self.labelled.values():
            await labelled.wait()
        self.rates.set_result(await asyncio.to_thread(rates_of_run, self.run_file, self.layout, self.pilot))

    def _known(self, shard: ShardPlan) -> dict[str, str]:
        ids = read_columns(self.layout.shard("generate", shard.index), ["id"])["id"]
        return {name: self.corpus[name] for name in ids if name in self.corpus}

    def _duplicates(self) -> dict[str, str]:
        """Return problem id -> id of the first problem, in shard order, that asks the same question."""
        if not any(isinstance(part, Duplicates) for part in self.run_file.vet):
            return {}
        first: dict[str, str] = {}
        copies: dict[str, str] = {}
        for shard in self.plan:
            columns = read_columns(self.layout.shard("generate", shard.index), ["id", "question"])
            for name, question in zip(columns["id"], columns["question"], strict=True):
                owner = first.setdefault(question_key(question), name)
                if owner != name:
                    copies[name] = owner
        return copies


async def _result(reference: Any, *, timeout: float | None = None) -> Any:
    """Await a Ray result; give a worker's own clear errors as they were raised."""
    import ray

    try:
        return await asyncio.wait_for(_awaited(reference), timeout)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BadInput | RunFailed):
            raise type(error.cause)(str(error.cause)) from None
        raise RunFailed(f"a worker failed: {type(error.cause).__name__}: {error.cause}; run again to go on") from error
    except ray.exceptions.RayActorError as error:
        raise RunFailed(
            f"a worker died and did not come back after its restarts ({type(error).__name__}); what is done is kept: "
            "run again to go on, and see the worker's last lines above"
        ) from None
    except TimeoutError:
        raise RunFailed("a shard took longer than workers.stage_timeout; run again to go on") from None


async def _awaited(reference: Any) -> Any:
    return await reference


async def _all(coroutines: Iterable[Any]) -> None:
    """Run side by side; the first error ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except* (BadInput, RunFailed) as errors:
        raise errors.exceptions[0] from None


@contextmanager
def only_driver(layout: Layout) -> Iterator[None]:
    """Hold the run folder's lock.

    Raises:
        BadInput: another driver is at work on it.
    """
    with layout.lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(
                f"{layout.folder}: another stepforge is at work on this folder; wait for it or end it"
            ) from None
        yield


def _check_failures(run: RunFile, ledger: dict[str, Any]) -> None:
    for stage, total in ledger["stages"].items():
        failed, rows = sum(total["failures"].values()), total["rows_in"]
        if rows and failed / rows > run.max_failure_share:
            raise RunFailed(
                f"{stage}: {failed} of {rows} rows could not be finished ({total['failures']}), more than "
                f"max_failure_share = {run.max_failure_share}; see failures/{stage}/"
            )


def _session(began: float, shards: int) -> dict[str, Any] | None:
    if not shards:
        return None
    return {"began": int(began), "seconds": round(time.time() - began, 1), "pending_shards": shards}
