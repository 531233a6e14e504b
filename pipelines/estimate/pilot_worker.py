"""A Ray actor that solves and labels a pilot's problems on one engine, wholly in memory, and notes what it took."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.labelers import AnyPart
from stepforge.pipelines.engines import open_engine
from stepforge.pipelines.estimate.trace import Call, Trace, TracedEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.stages import attempt_all, label, solve
from stepforge.pipelines.run.supplied import asks_pass_rate, brought_with
from stepforge.pipelines.scorers import open_scorer
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
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
        """Load the engine.

        Raises:
            BadInput: the model or the engine is not there, or has no chat template where one is asked for.
        """
        if not self.engines:
            trace = Trace()
            self.engines.append(TracedEngine(await open_engine(self.run.engine), trace))
            if self.run.judge:
                self.engines.append(TracedEngine(await open_engine(self.run.judge), trace))
            judge = self.engines[1] if self.run.judge else None
            self.scorer = await open_scorer(self.run.scorer) if self.run.scorer else None
            self.policy = PromptedPolicy(self.engines[0], self.run.policy, judge, self.grader.run_python)
            try:
                self.policy.check()
            except ValueError as error:
                raise BadInput(f"policy.chat: {error}") from None
        return True

    async def solve(self, items: Sequence[SourceItem]) -> Phase:
        """Solve problems, all at once."""

        async def work(item: SourceItem) -> SolvedProblem:
            run, brought = self.run, brought_with(item)
            return await solve(
                item.problem,
                brought,
                self.policy.for_problem(item.problem),
                self.grader,
                n=run.solutions,
                seed=run.seed,
                pass_rate=asks_pass_rate(run),
                search=run.solve,
                scorer=self.scorer,
            )

        return await self._phase(items, work, lambda item: item.problem.id)

    async def label(self, rows: Sequence[SolvedProblem], parts: Sequence[AnyPart]) -> Phase:
        """Label problems, all at once."""

        async def work(row: SolvedProblem) -> LabeledProblem:
            asked = self.policy.for_problem(row.problem)
            return await label(row, parts, asked, self.grader, seed=self.run.seed, scorer=self.scorer)

        return await self._phase(rows, work, lambda row: row.problem.id)

    async def close(self) -> None:
        """Give the engine back, so that nothing of it outlives the worker."""
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
