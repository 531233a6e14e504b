"""Progress: committed work and the engines' counters, as one snapshot for the terminal, a file and the metrics."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from math import inf

from stepforge.pipelines.progress.engine_meter import EngineMeter, Pace
from stepforge.pipelines.progress.prometheus import MetricsPort
from stepforge.pipelines.progress.snapshot import PROGRESS_FILE, Snapshot
from stepforge.pipelines.progress.views import view_of
from stepforge.pipelines.run_folder.ledger import ShardReport, StageTotal
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.run_folder.watched import Watched
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import shard_metadata
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import RunFailed

ASK_SECONDS = 1.0
"""How often the engines are polled."""
FILE_SECONDS = 5.0
"""Age limit of ``progress.json`` while the driver lives."""
ANSWER_SECONDS = 5.0


Counters = Callable[[float], Awaitable[dict[str, int]]]
"""Asks an engine for its counters, for at most so many seconds."""


class Progress:
    def __init__(
        self, layout: Layout, plan: Sequence[ShardPlan], *, quiet: bool, as_json: bool = False, run: RunFile
    ) -> None:
        """``quiet`` shows nothing; ``as_json`` shows each snapshot as a line of JSON."""
        self._layout = layout
        self._shards = len(plan)
        self._view = view_of(quiet=quiet, as_json=as_json)
        port = run.workers.metrics_port
        self._metrics = None if port is None else MetricsPort(run.workers, port)
        self._began = time.monotonic()
        self._meter = EngineMeter()
        self._pace = Pace(plan)
        self._watched = Watched()
        self._before = _committed(layout, plan)
        past = Counter(stage for stage, _ in self._before)
        self._stages = {stage: StageTotal(shards=past[stage]) for stage in SHARD_STAGES}
        """Past shards are counted immediately, and their rows as their reports are read."""

    def done(self, report: ShardReport, replayed: int = 0) -> None:
        """Record a newly committed shard, and how many of its completions came from a journal."""
        self._meter.replayed += replayed
        self._stages[report.stage] = self._stages[report.stage].plus(report)
        self._watched += report.watched
        self._pace.done(report, now=True)

    async def watch(self, engines: Sequence[Counters]) -> None:
        await asyncio.gather(self._learn_past(), self._watch(engines))

    async def look(self, engines: Sequence[Counters]) -> None:
        """Poll the engines once; never two polls at a time, or a late answer would look like a restart."""
        self._meter.take(await asyncio.gather(*(ask(ANSWER_SECONDS) for ask in engines)))

    async def _watch(self, engines: Sequence[Counters]) -> None:
        shown = kept = -inf
        while True:
            await self.look(engines)
            snapshot, now = self.snapshot(), time.monotonic()
            if now - shown >= self._view.seconds:
                shown = now
                self._show(snapshot)
            if now - kept >= FILE_SECONDS:
                kept = now
                await asyncio.to_thread(self._keep, snapshot)
            await asyncio.sleep(ASK_SECONDS)

    def close(self) -> None:
        snapshot = self.snapshot(ended=True)
        self._show(snapshot)
        self._view.close()
        self._keep(snapshot)
        if self._metrics:
            self._metrics.close()

    def snapshot(self, *, ended: bool = False) -> Snapshot:
        elapsed, engine = time.monotonic() - self._began, self._meter.figures()
        return Snapshot(
            written=time.time(),
            elapsed=round(elapsed, 1),
            ended=ended,
            shards=self._shards,
            stages=dict(self._stages),
            engine=engine,
            watched=self._watched,
            seconds_left=self._pace.seconds_left(engine, elapsed),
        )

    async def _learn_past(self) -> None:
        """Record what earlier sessions committed, and only that, whatever is committed meanwhile."""
        for stage, index in self._before:
            report = await asyncio.to_thread(_report, self._layout, stage, index)
            if report is not None:
                self._stages[stage] = self._stages[stage].plus(report, shards=0)
                self._watched += report.watched
                self._pace.done(report, now=False)

    def _show(self, snapshot: Snapshot) -> None:
        if self._metrics:
            self._metrics.snapshot = snapshot
        self._view.show(snapshot)

    def _keep(self, snapshot: Snapshot) -> None:
        """A run continues if its progress cannot be written; its shards show it."""
        try:
            write_text(self._layout.folder / PROGRESS_FILE, snapshot.model_dump_json() + "\n")
        except RunFailed:
            return


def _committed(layout: Layout, plan: Sequence[ShardPlan]) -> list[tuple[ShardStage, int]]:
    """Finished stages of each shard, up to the first missing one: later ones are redone."""
    there = layout.committed()
    found: list[tuple[ShardStage, int]] = []
    for shard in plan:
        for stage in SHARD_STAGES:
            if shard.index not in there[stage]:
                break
            found.append((stage, shard.index))
    return found


def _report(layout: Layout, stage: ShardStage, index: int) -> ShardReport | None:
    """Return a committed shard's report; the stage that reads a damaged shard reports it."""
    try:
        return ShardReport.model_validate(shard_metadata(layout.shard(stage, index))["report"])
    except (RunFailed, KeyError, ValueError):
        return None
