"""One stage on one shard: read, do every row, commit. Knows files and the table of stages; knows nothing of Ray."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from stepforge.filters import Corpus
from stepforge.generators.policies import Policies
from stepforge.generators.supplied import Brought
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.run.model_sources import readable_rows
from stepforge.pipelines.run.stage_table import STAGES, Made, Task, needs_engine
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.lock import is_current
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.run_folder.pooled_rates import rates_digest
from stepforge.pipelines.settings.digest import VERSION, content_digest, stage_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import read_vetted
from stepforge.pipelines.storage.journal import Journal, keep_completions, kept_completions
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import ShardMetadata, read_shard, shard_metadata, write_shard
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Failure, Rejected
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Scorer
from stepforge.schemas.record import Record

E = TypeVar("E")
F = TypeVar("F")


class Engines(NamedTuple, Generic[E]):
    """The models of a run, as they were opened or as shards share them."""

    by_table: Mapping[str, E]
    """All that sample, by their table of the run file."""
    scorer: Scorer | None = None

    def each(self, wrapped: Callable[[str, E], F]) -> "Engines[F]":
        return Engines({table: wrapped(table, one) for table, one in self.by_table.items()}, self.scorer)


class ShardDone(NamedTuple):
    """A committed shard: its report, which is also in the shard, and figures that vary between sessions."""

    report: ShardReport
    seconds: float
    engine_seconds: float = 0.0
    replayed: int = 0
    """Completions found in the journal of an earlier attempt."""


class ShardWork:
    def __init__(
        self,
        run: RunFile,
        folder: AnyPath,
        grader: PooledGrader,
        engines: Engines[EngineGate] | None,
        session: str | None = None,
    ) -> None:
        """``engines`` is None on workers without one, and until it is loaded. With ``session``, nothing is committed
        after another driver takes over the folder."""
        self.run = run
        self.layout = Layout(folder)
        self.grader = grader
        self.engines = engines
        self.session = session
        self._digest = content_digest(run)

    async def do(self, stage: ShardStage, shard: ShardPlan, corpus: Corpus, rates: Record | None = None) -> ShardDone:
        began = time.monotonic()
        task = Task(self.run, self.layout, shard, self._digest, self.grader, corpus, rates, None)
        if needs_engine(self.run, stage, shard):
            done = await self._sampled(stage, task)
        else:
            done = ShardDone(await self._done(stage, task), 0.0)
        return done._replace(seconds=time.monotonic() - began)

    async def _sampled(self, stage: ShardStage, task: Task) -> ShardDone:
        """Do a stage on engines whose completions are journaled until the shard is committed, and then kept."""
        if self.engines is None:
            raise RuntimeError("this worker has no engine")
        index = task.shard.index
        folder, kept = self.layout.journal(stage, index), self.layout.completions(stage, index)
        journal = await asyncio.to_thread(lambda: Journal(folder, kept_completions(kept)))
        engines = self.engines.each(lambda _, gate: JournaledEngine(gate, journal))
        policies = Policies(engines.by_table, self.run.policy, self.grader.run_python)
        try:
            report = await self._done(stage, task._replace(policies=policies, scorer=self.engines.scorer))
        except BaseException:
            await journal.close()
            raise
        await journal.end()
        await asyncio.to_thread(keep_completions, folder, kept)
        seconds = sum(engine.seconds for engine in engines.by_table.values())
        return ShardDone(report, 0.0, seconds, journal.replayed)

    async def _done(self, stage: ShardStage, task: Task) -> ShardReport:
        made = await STAGES[stage].work(task)
        return await asyncio.to_thread(self._commit, stage, task, made)

    def problems(self, stage: ShardStage, shard: ShardPlan) -> list[Problem]:
        if stage == "generate":
            return [item.problem for _, item in readable_rows(self.run, shard)]
        if stage == "label":
            return [row.problem for row in read_vetted(self.layout, shard.index)]
        return read_shard(self.layout.source(stage, shard.index), Problem, self._digest)

    def _commit(self, stage: ShardStage, task: Task, made: Made) -> ShardReport:
        """Write rows set aside first and the shard last: its file proves that everything is there."""
        index = task.shard.index
        report = made.report(stage, index)
        self.check_session()
        stamp = self._stamp(stage, task)
        _write_aside(self.layout.rejected(stage, index), made.rejected, Rejected, stamp)
        _write_aside(self.layout.failures(stage, index), made.failures, Failure, stamp)
        if stage == "generate":
            _write_aside(self.layout.brought(index), made.brought, Brought, stamp)
            stamp["brought"] = len(made.brought)
        stamp["report"] = report.model_dump(mode="json")
        write_shard(self.layout.shard(stage, index), made.rows, STAGES[stage].writes, stamp)
        return report

    def check_session(self) -> None:
        """Raise ``RunFailed`` once another driver has the folder: an orphan must not write into its run."""
        if self.session is not None and not is_current(self.layout, self.session):
            raise RunFailed(
                f"{self.layout.folder}: another stepforge has taken over this folder; nothing more is written"
            )

    def _stamp(self, stage: ShardStage, task: Task) -> ShardMetadata:
        """Metadata of a shard: what it depends on, and the shard that it was made from."""
        index = task.shard.index
        stamp: ShardMetadata = {
            "run": self._digest,
            "settings": stage_digest(self.run, stage),
            "seed": self.run.seed,
            "version": VERSION,
            "stage": stage,
            "shard": index,
        }
        if stage != SHARD_STAGES[0]:
            stamp["source"] = shard_metadata(self.layout.source(stage, index), self._digest)["digest"]
        if stage == "label" and task.rates is not None:
            stamp["rates"] = rates_digest(task.rates)
        return stamp


def _write_aside(path: AnyPath, rows: Sequence[Record], record: type[Record], stamp: ShardMetadata) -> None:
    """Write rows set aside; if there are none, delete those of an earlier attempt."""
    if rows:
        write_shard(path, rows, record, stamp)
    else:
        path.unlink(missing_ok=True)
