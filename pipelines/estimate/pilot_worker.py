"""A Ray actor that solves and labels a pilot's problems on one engine, wholly in memory, and notes what it took."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from stepforge.generators.policies import Policies
from stepforge.generators.problem_sets import SourceItem
from stepforge.labelers import AnyPart
from stepforge.pipelines.estimate.trace import Call, Trace, TracedEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.actors import open_models
from stepforge.pipelines.run.stages import attempt_all, label_by
from stepforge.pipelines.run.supplied import brought_with, solve_for
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Failure, LabeledProblem
from stepforge.schemas.protocols import Scorer
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

Row = TypeVar("Row", bound=Record)
Done = TypeVar("Done", bound=Record)


class Phase(NamedTuple):
    """One stage of a pilot on one engine."""

    rows: list[Record]
    failures: list[Failure]
    calls: list[Call]
    seconds: dict[str, float]
    """Problem id -> time from its first to its last request and everything between."""
    wall: float
    loop: float
    """Processor time of the worker's own thread, without the engine's: what bounds it when the engine is fast."""


class PilotWorker:
    """Loads the run's engine once, for both stages."""

    def __init__(self, run: RunFile) -> None:
        self.run = run
        self.grader = PooledGrader()
        self.engines: list[TracedEngine] = []
        self.scorer: Scorer | None = None

    async def ready(self) -> bool:
        if not self.engines:
            opened = await open_models(self.run)
            self.scorer = opened.scorer
            engine, judge = (TracedEngine(one, Trace()) if one else None for one in (opened.engine, opened.judge))
            others = {name: TracedEngine(one, Trace()) for name, one in opened.others.items()}
            self.engines = [one for one in (engine, judge, *others.values()) if one is not None]
            self.policies = Policies(self.engines[0], self.run.policy, judge, self.grader.run_python, others)
        return True

    async def solve(self, items: Sequence[SourceItem]) -> Phase:
        async def work(item: SourceItem) -> SolvedProblem:
            brought = brought_with(item)
            policy = self.policies.solving(item.problem, supplied=bool(brought))
            return await solve_for(self.run, item.problem, brought, policy, self.grader, self.scorer)

        return await self._phase(items, work, lambda item: item.problem.id)

    async def label(self, rows: Sequence[SolvedProblem], parts: Sequence[AnyPart]) -> Phase:
        async def work(row: SolvedProblem) -> LabeledProblem:
            return await label_by(self.policies, row, parts, self.grader, seed=self.run.seed, scorer=self.scorer)

        return await self._phase(rows, work, lambda row: row.problem.id)

    async def close(self) -> None:
        for engine in self.engines:
            await engine.close()
        if self.scorer is not None:
            await self.scorer.close()
        await self.grader.close()

    async def _phase(
        self, rows: Sequence[Row], work: Callable[[Row], Awaitable[Done]], identity: Callable[[Row], str]
    ) -> Phase:
        trace, seconds = Trace(), dict[str, float]()
        for engine in self.engines:
            engine.trace = trace

        async def timed(row: Row) -> Done:
            began = time.monotonic()
            with trace.problem(identity(row)):
                done = await work(row)
            seconds[identity(row)] = time.monotonic() - began
            return done

        began, used = time.monotonic(), time.thread_time()
        done, failures = await attempt_all(rows, timed, "pilot", identity)
        wall, loop = time.monotonic() - began, time.thread_time() - used
        return Phase([*done], failures, trace.calls, seconds, wall, loop)
