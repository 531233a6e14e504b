"""One run: plan the shards, send each through the stages, check the row counts, export, report.

A shard moves to the next stage as soon as it is ready; only the vetting of duplicates waits for every problem. Work
with a committed file is never redone: the same command resumes.
"""

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stepforge.filters import Corpus, Duplicates, NearDuplicates
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.progress.watch import Progress
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.report import write_report
from stepforge.pipelines.run.cluster import loads_from_hub, start_ray, stop_ray
from stepforge.pipelines.run.duplicates import duplicate_questions, near_duplicates
from stepforge.pipelines.run.export_work import export_on
from stepforge.pipelines.run.pool import Pool, cpu_pool, engine_pool
from stepforge.pipelines.run.shard_work import ShardDone
from stepforge.pipelines.run.stage_table import needs_engine
from stepforge.pipelines.run.stopping import Stopping
from stepforge.pipelines.run_folder.failures import take_back
from stepforge.pipelines.run_folder.ledger import ShardReport, build_ledger, check_worth, write_ledger
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.run_folder.plan import ShardPlan, plan_shards
from stepforge.pipelines.run_folder.pooled_rates import rates_of_run, settle_shard, shards_to_fit
from stepforge.pipelines.run_folder.sessions import Session, past_sessions
from stepforge.pipelines.run_folder.settings_guard import guard_settings, with_folder_exports
from stepforge.pipelines.run_folder.watched import Watched, reason_to_stop
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.journal import keep_completions
from stepforge.pipelines.storage.layout import ENGINE_STAGES, SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import read_columns, shard_metadata
from stepforge.pipelines.storage.store import AnyPath, listed, write_text
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.record import Record


def run_all(run: RunFile, folder: AnyPath, *, quiet: bool = False, as_json: bool = False) -> Report:
    """Do all unfinished work of a run, and return its report.

    Raises:
        BadInput: nothing was started.
        RunFailed: finished work is kept; the line says how to resume.
        Stopped: by a signal; the workers are closed, and finished work is kept.
    """
    layout = Layout(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be created ({error.strerror}); give another --out") from None
    with Stopping() as stopping, only_driver(layout) as name:
        if layout.rule.exists():
            raise BadInput(f"{folder}: was made by `stepforge relabel`, which also redoes it; give another --out")
        run = with_folder_exports(run, layout)
        redone = guard_settings(run, layout)
        if redone and not quiet:
            changed = f"stepforge: settings of {', '.join(redone)} have changed; what depends on them is redone"
            say(f"{changed}, from the stored completions", err=True)
        plan = plan_shards(run, folder)
        committed = layout.committed()
        again = take_back(layout, committed)
        if again:
            say(f"stepforge: {again} rows failed for an outside reason; they are retried", err=True)
        pending = _pending(run, layout, plan, committed)
        if pending:
            session = Session(layout, name, len(pending))
            try:
                with stopping.held():
                    start_ray(hub_token=loads_from_hub(run))
                progress = Progress(layout, plan, quiet=quiet, as_json=as_json, run=run)
                stopping.run(_Flow(run, layout, plan, committed, progress, session).run(pending))
            finally:
                with stopping.held():
                    stop_ray()
                    session.write()
        _forget_leftovers(layout, committed)
        report = finish(run, layout)
        layout.unsettled.unlink(missing_ok=True)
        return report


def _pending(
    run: RunFile, layout: Layout, plan: Sequence[ShardPlan], committed: dict[ShardStage, set[int]]
) -> list[ShardPlan]:
    """Return the shards with work to do: all of them, if the rates that labels need are unknown or may change, or if an
    earlier driver ended between redoing a shard and checking those made from it.
    """
    pending = [shard for shard in plan if any(shard.index not in done for done in committed.values())]
    first = shards_to_fit(run, plan)
    unknown = first and (not layout.rates.exists() or any(shard in pending for shard in first))
    return list(plan) if layout.unsettled.exists() or unknown else pending


def _forget_leftovers(layout: Layout, committed: dict[ShardStage, set[int]]) -> None:
    """Move journals of committed shards left over by kills, and delete unfinished temporary files."""
    for stage in (SHARD_STAGES[0], *ENGINE_STAGES):
        for folder in listed(layout.folder / "journal", f"{stage}-*"):
            number = folder.name.rpartition("-")[2]
            if number.isdigit() and int(number) in committed[stage]:
                keep_completions(folder, layout.completions(stage, int(number)))
    if isinstance(layout.folder, Path):
        for path in list(layout.folder.rglob(".*.tmp")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def finish(run: RunFile, layout: Layout) -> Report:
    ledger = write_ledger(layout, past_sessions(layout))
    check_worth(run, ledger)
    export_all(run, layout)
    return write_report(run, layout, ledger)


class _Flow:
    cpu: Pool
    engines: Pool | None
    rates: asyncio.Future[Record] | None = None
    """Done once the shards to fit are labeled; None where nothing is pooled."""

    def __init__(
        self,
        run: RunFile,
        layout: Layout,
        plan: list[ShardPlan],
        committed: dict[ShardStage, set[int]],
        progress: Progress,
        session: Session,
    ) -> None:
        self.run_file, self.layout, self.plan, self.committed = run, layout, plan, committed
        self.progress, self.session = progress, session
        self.corpus, self.watched = Corpus(), Watched()
        self.digest = content_digest(run)
        self.to_fit = shards_to_fit(run, plan)
        self.labeled = {shard.index: asyncio.Event() for shard in self.to_fit}
        self.unsettled = layout.unsettled.exists()
        self.made = {shard.index for shard in plan} if self.unsettled else set()
        """Shards with a redone stage: what was made from them before may no longer fit."""

    async def run(self, pending: list[ShardPlan]) -> None:
        folder, session = self.layout.folder, self.session.name
        self.cpu = cpu_pool(self.run_file, folder, session)
        self.engines = engine_pool(self.run_file, folder, session) if self._samples(pending) else None
        pools = [self.cpu, *([self.engines] if self.engines else [])]
        counters = [worker.counters for worker in self.engines.workers] if self.engines else []
        watcher = asyncio.create_task(self.progress.watch(counters))
        try:
            await _all(self._stage("generate", shard) for shard in self.plan)
            self.corpus = await asyncio.to_thread(self._whole_corpus)
            if self.to_fit:
                self.rates = asyncio.get_running_loop().create_future()
                for index, labeled in self.labeled.items():
                    if self._is_labeled(index) and not self.unsettled:
                        labeled.set()
            await _all([*map(self._shard, pending), self._pool_rates()])
            await _ended(watcher)
            await self.progress.look(counters)
            await self._export()
        finally:
            await _ended(watcher)
            self.progress.close()
            await asyncio.gather(*(pool.close() for pool in pools))

    async def _export(self) -> None:
        """Have the workers write the data sets, unless too many rows have failed or the labels are worthless."""
        check_worth(self.run_file, await asyncio.to_thread(build_ledger, self.layout, []))
        await export_on(self.cpu, self.run_file, self.layout)

    def _samples(self, pending: list[ShardPlan]) -> bool:
        """Whether anything is left to sample; an engine is loaded only then."""
        wanted = any(not self._is_labeled(shard.index) for shard in pending)
        return wanted or self.unsettled or (bool(self.to_fit) and not self.layout.rates.exists())

    def _is_labeled(self, index: int) -> bool:
        """Whether a shard's labels are valid: if an earlier stage is missing, they will be redone."""
        return all(index in self.committed[stage] for stage in SHARD_STAGES[: SHARD_STAGES.index("label") + 1])

    async def _shard(self, shard: ShardPlan) -> None:
        for stage in SHARD_STAGES[1:]:
            await self._stage(stage, shard)
            if stage == "label" and self.rates is not None and shard.index in self.labeled:
                self.labeled[shard.index].set()
                await asyncio.to_thread(self._begin, stage, shard.index)
                await asyncio.to_thread(settle_shard, self.run_file, self.layout, shard, await self.rates)

    async def _stage(self, stage: ShardStage, shard: ShardPlan) -> None:
        pool = self.engines if self.engines and needs_engine(self.run_file, stage, shard) else self.cpu
        waits = stage == "label" and shard not in self.to_fit
        rates = await self.rates if waits and self.rates is not None else None
        if await asyncio.to_thread(self._stands, stage, shard.index):
            return
        await asyncio.to_thread(self._begin, stage, shard.index)
        if stage == "label" and shard in self.to_fit:
            await asyncio.to_thread(self.layout.rates.unlink, missing_ok=True)
        corpus = await asyncio.to_thread(self._known, shard) if stage == "vet" else Corpus()
        done: ShardDone = await pool.call(
            "do",
            *(stage, shard, corpus, rates),
            rank=(-SHARD_STAGES.index(stage), shard.index),  # shards closest to done go first
        )
        done.report.check()
        self.committed[stage].add(shard.index)
        self.progress.done(done.report, done.replayed)
        self._look_out(done.report)
        self.session.note(stage, done.seconds, done.engine_seconds, done.replayed, done.report.cost)
        await asyncio.to_thread(self.session.write, now=False)

    def _look_out(self, report: ShardReport) -> None:
        self.watched += report.watched
        reason = reason_to_stop(self.watched, self.run_file.watch, temperature=self.run_file.policy.temperature)
        if reason is not None:
            raise RunFailed(f"stopped, finished work is kept: {reason}")

    def _begin(self, stage: ShardStage, index: int) -> None:
        """Record that a shard may change, for the next driver too: what was made from it must be checked again."""
        self.made.add(index)
        later = SHARD_STAGES[SHARD_STAGES.index(stage) + 1 :]
        if not self.unsettled and any(index in self.committed[stage] for stage in later):
            write_text(self.layout.unsettled, "")
            self.unsettled = True

    def _stands(self, stage: ShardStage, index: int) -> bool:
        """Whether a stage's shard exists, and was made from the current version of the shard before it."""
        path = self.layout.shard(stage, index)
        if index not in self.committed[stage] or (stage == "label" and not path.exists()):
            return False
        if index not in self.made or stage == SHARD_STAGES[0]:
            return True
        source = shard_metadata(self.layout.source(stage, index))["digest"]
        return bool(shard_metadata(path, self.digest).get("source") == source)

    async def _pool_rates(self) -> None:
        """Pool the rates as soon as every shard to fit them to is labeled."""
        if self.rates is None:
            return
        for labeled in self.labeled.values():
            await labeled.wait()
        self.rates.set_result(await asyncio.to_thread(rates_of_run, self.run_file, self.layout, self.to_fit))

    def _known(self, shard: ShardPlan) -> Corpus:
        ids = read_columns(self.layout.shard("generate", shard.index), ["id"])["id"]
        return Corpus(
            duplicate_of={name: copy for name in ids if (copy := self.corpus.duplicate_of.get(name))},
            near_copy_of={name: copy for name in ids if (copy := self.corpus.near_copy_of.get(name))},
        )

    def _whole_corpus(self) -> Corpus:
        """Return which problems copy an earlier one, in shard order, where a filter asks."""
        shards = [self.layout.shard("generate", shard.index) for shard in self.plan]
        vet = self.run_file.vet
        near = [near_duplicates(shards, part) for part in vet if isinstance(part, NearDuplicates)]
        return Corpus(
            duplicate_of=duplicate_questions(shards) if any(isinstance(part, Duplicates) for part in vet) else {},
            near_copy_of={copy: first for found in near for copy, first in found.items()},
        )


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _all(coroutines: Iterable[Any]) -> None:
    """Run concurrently; the first error cancels the others and is raised unchanged."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except* (BadInput, RunFailed) as errors:
        raise errors.exceptions[0] from None
