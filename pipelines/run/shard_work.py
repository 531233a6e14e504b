"""One stage on one shard: read, do every row, commit. Knows files and the stages; knows nothing of Ray."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from stepforge.filters import Corpus
from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import ProblemSet
from stepforge.labelers import AnyPart, ChangePoint
from stepforge.labelers.rates import Rates
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.inputs.problem_files import open_once
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.run.stages import Brought, Sifted, attempt_all, curate, label, solve, vet
from stepforge.pipelines.run.supplied import asks_pass_rate, brought_with, warn_uncut
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.lock import is_current
from stepforge.pipelines.run_folder.plan import FAMILIES, ShardPlan, family_item
from stepforge.pipelines.settings.digest import VERSION, content_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.journal import Journal
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_shard, shard_metadata, write_shard
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Cost, Failure, LabeledProblem, LabelerCost, Rejected
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

R = TypeVar("R", bound=Record)

BROUGHT = "brought"
"""In a generate shard's metadata: how many solutions came with its problems."""


class Engines(NamedTuple):
    """What a worker has loaded."""

    policy: EngineGate
    judge: EngineGate | None = None
    """None: judges ask the policy's own model."""


class ShardDone(NamedTuple):
    """A committed shard: its report, which is in the shard too, and what differs from one time to the next."""

    report: ShardReport
    seconds: float
    engine_seconds: float = 0.0
    replayed: int = 0
    """Completions found in the journal of an earlier attempt."""


class _Asking(NamedTuple):
    """A policy for one shard, on engines that keep its journal."""

    policy: PromptedPolicy
    journal: Journal
    engines: tuple[JournaledEngine, ...]

    def done(self, report: ShardReport, began: float) -> ShardDone:
        seconds = sum(engine.seconds for engine in self.engines)
        return ShardDone(report, time.monotonic() - began, seconds, self.journal.replayed)


class ShardWork:
    """Everything a worker needs to do any stage on any shard of one run."""

    def __init__(
        self, run: RunFile, folder: AnyPath, grader: PooledGrader, engines: Engines | None, session: str | None = None
    ) -> None:
        """``engines`` is None on workers without one. With ``session``, nothing is committed once another driver
        has taken the folder over."""
        self.run = run
        self.layout = Layout(folder)
        self.grader = grader
        self.engines = engines
        self.session = session
        self._digest = content_digest(run)

    async def do(self, stage: ShardStage, shard: ShardPlan, corpus: Corpus, rates: Rates | None = None) -> ShardDone:
        """Do a stage on a shard and commit it.

        Raises:
            EngineDead: the engine is gone and nothing of the shard was committed.
            RunFailed: the shard before it is damaged, or the folder is another driver's by now.
        """
        began = time.monotonic()
        if stage == "solve" or stage == "label":
            async with self._asking(stage, shard) as asking:
                report = await (self._solve(shard, asking) if stage == "solve" else self._label(shard, asking, rates))
            return asking.done(report, began)
        if stage == "generate":
            report = await asyncio.to_thread(self._generate, shard)
        elif stage == "vet":
            report = await asyncio.to_thread(self._vet, shard, corpus)
        else:
            report = await asyncio.to_thread(self._curate, shard)
        return ShardDone(report, time.monotonic() - began)

    @asynccontextmanager
    async def _asking(self, stage: ShardStage, shard: ShardPlan) -> AsyncIterator[_Asking]:
        """Give a policy whose completions are journalled until the shard is committed."""
        if self.engines is None:
            raise RuntimeError("this worker has no engine")
        journal = await asyncio.to_thread(Journal, self.layout.journal(stage, shard.index))
        engine = JournaledEngine(self.engines.policy, journal)
        judge = JournaledEngine(self.engines.judge, journal) if self.engines.judge else None
        policy = PromptedPolicy(engine, self.run.policy, judge)
        try:
            yield _Asking(policy, journal, (engine, *([judge] if judge else [])))
        except BaseException:
            await journal.close()
            raise
        await journal.forget()

    def _generate(self, shard: ShardPlan) -> ShardReport:
        rejected: list[Rejected] = []
        brought: list[Brought] = []
        if shard.source == FAMILIES:
            problems = [family_item(self.run, i) for i in range(shard.start, shard.stop)]
        else:
            part = self.run.generate[shard.source]
            if not isinstance(part, ProblemSet):
                raise TypeError(f"source {shard.source} is not a problem set")
            problems = []
            for item in open_once(part).rows(shard.start, shard.stop):
                if isinstance(item, Rejected):
                    rejected.append(item)
                else:
                    problems.append(item.problem)
                    brought.extend(brought_with(item))
        if brought:
            write_shard(self.layout.brought(shard.index), brought, Brought, self._stamp("generate", shard))
        rows_in = shard.stop - shard.start
        return self._commit(
            "generate", shard, problems, Problem, rows_in, rejected=rejected, stamps={BROUGHT: len(brought)}
        )

    async def _solve(self, shard: ShardPlan, asking: _Asking) -> ShardReport:
        problems = await asyncio.to_thread(self._read, "solve", shard, Problem)
        brought = await asyncio.to_thread(self._read_brought, shard)
        run, policy, pass_rate = self.run, asking.policy, asks_pass_rate(self.run)

        async def work(problem: Problem) -> SolvedProblem:
            own = brought.get(problem.id, [])
            return await solve(problem, own, policy, self.grader, n=run.solutions, seed=run.seed, pass_rate=pass_rate)

        done, failures = await attempt_all(problems, work, "solve", lambda problem: problem.id)
        rollouts = [r for row in done for r in (*row.own, *row.rollouts) if r.tokens or not brought]
        warn_uncut(done, run.policy.segmenter.kind)
        return await asyncio.to_thread(
            self._commit,
            "solve",
            shard,
            done,
            SolvedProblem,
            len(problems),
            failures=failures,
            rollouts=rollouts,
            cost=Cost.of(rollouts),
        )

    async def _label(self, shard: ShardPlan, asking: _Asking, rates: Rates | None) -> ShardReport:
        rows = await asyncio.to_thread(self._read, "label", shard, SolvedProblem)
        policy = asking.policy
        parts = [with_rates(part, rates) for part in self.run.label]

        async def work(row: SolvedProblem) -> LabeledProblem:
            return await label(row, parts, policy, self.grader, seed=self.run.seed)

        done, failures = await attempt_all(rows, work, "label", lambda row: row.problem.id)
        costs = _cost_by_labeler(done)
        return await asyncio.to_thread(
            self._commit,
            "label",
            shard,
            done,
            LabeledProblem,
            len(rows),
            failures=failures,
            rollouts=[r for row in done for r in (*row.evidence, *row.further)],
            cost=sum((entry.cost for entry in costs), Cost()),
            labelers=costs,
        )

    def _vet(self, shard: ShardPlan, corpus: Corpus) -> ShardReport:
        rows = self._read("vet", shard, SolvedProblem)
        return self._commit_sifted("vet", shard, vet(rows, self.run.vet, corpus), SolvedProblem)

    def _curate(self, shard: ShardPlan) -> ShardReport:
        rows = self._read("curate", shard, LabeledProblem)
        return self._commit_sifted("curate", shard, curate(rows, self.run.curate), LabeledProblem)

    def _read(self, stage: ShardStage, shard: ShardPlan, record: type[R]) -> list[R]:
        """Return the rows that a stage is to work on."""
        return read_shard(self.layout.source(stage, shard.index), record, self._digest)

    def _commit_sifted(self, stage: ShardStage, shard: ShardPlan, sifted: Sifted, record: type[Record]) -> ShardReport:
        rows_in = len(sifted.kept) + len(sifted.rejected)
        return self._commit(stage, shard, sifted.kept, record, rows_in, rejected=sifted.rejected)

    def _commit(
        self,
        stage: ShardStage,
        shard: ShardPlan,
        rows: Sequence[Record],
        record: type[Record],
        rows_in: int,
        *,
        rejected: Sequence[Rejected] = (),
        failures: Sequence[Failure] = (),
        rollouts: Sequence[Rollout] = (),
        cost: Cost | None = None,
        labelers: tuple[LabelerCost, ...] = (),
        stamps: Mapping[str, int] = MappingProxyType({}),
    ) -> ShardReport:
        """Write what was set aside first and the shard last: its file is the proof that all of it is there."""
        report = ShardReport(
            stage=stage,
            shard=shard.index,
            rows_in=rows_in,
            rows_out=len(rows),
            rejected=dict(sorted(Counter(_cause(stage, r) for r in rejected).items())),
            failures=dict(sorted(Counter(f.error for f in failures).items())),
            cost=cost or Cost(),
            labelers=labelers,
            outcomes=_outcomes(rollouts),
            labelled_steps=sum(r.labelled_steps for r in rows if stage == "curate" and isinstance(r, LabeledProblem)),
        )
        report.check()
        self._check_session()
        stamp = {**self._stamp(stage, shard), **stamps}
        if rejected:
            write_shard(self.layout.rejected(stage, shard.index), rejected, Rejected, stamp)
        if failures:
            write_shard(self.layout.failures(stage, shard.index), failures, Failure, stamp)
        write_shard(
            self.layout.shard(stage, shard.index), rows, record, {**stamp, "report": report.model_dump(mode="json")}
        )
        return report

    def _check_session(self) -> None:
        if self.session is not None and not is_current(self.layout, self.session):
            raise RunFailed(
                f"{self.layout.folder}: another stepforge has taken this folder over; nothing more is written"
            )

    def _stamp(self, stage: ShardStage, shard: ShardPlan) -> dict[str, str | int]:
        return {"run": self._digest, "seed": self.run.seed, "version": VERSION, "stage": stage, "shard": shard.index}

    def _read_brought(self, shard: ShardPlan) -> dict[str, list[Brought]]:
        path, source = self.layout.brought(shard.index), self.layout.source("solve", shard.index)
        expected = shard_metadata(source, self._digest).get(BROUGHT, 0)
        brought = read_shard(path, Brought, self._digest) if expected and path.exists() else []
        if len(brought) != expected:  # without them the solutions would be sampled instead
            raise RunFailed(f"{path}: {len(brought)} of {expected} brought solutions; delete {source} and run again")
        solutions: dict[str, list[Brought]] = {}
        for solution in brought:
            solutions.setdefault(solution.problem_id, []).append(solution)
        return solutions


def with_rates(part: AnyPart, rates: Rates | None) -> AnyPart:
    """Return a labeler as it is, or with the rates pooled over the run."""
    if rates is None or not isinstance(part, ChangePoint) or not part.pilot:
        return part
    return part.model_copy(update={"rates": rates})


def _cause(stage: ShardStage, rejected: Rejected) -> str:
    """What a rejection is counted under: a malformed source row's own message is unlike any other's."""
    return rejected.filter if stage == "generate" else f"{rejected.filter}: {rejected.reason}"


def _cost_by_labeler(rows: Sequence[LabeledProblem]) -> tuple[LabelerCost, ...]:
    costs: dict[str, Cost] = {}
    for row in rows:
        for entry in row.costs:
            costs[entry.labeler] = costs.get(entry.labeler, Cost()) + entry.cost
    return tuple(LabelerCost(labeler=name, cost=cost) for name, cost in costs.items())


def _outcomes(rollouts: Sequence[Rollout]) -> dict[str, int]:
    counts: Counter[str] = Counter(r.outcome for r in rollouts)
    counts.update(f"finish {r.finish}" for r in rollouts if r.finish != "stop")
    return dict(sorted(counts.items()))
