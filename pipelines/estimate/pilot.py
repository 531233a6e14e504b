"""A pilot: a sample of a run's problems through all stages, in memory, on the run's own engine."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from stepforge.filters import Corpus
from stepforge.generators.policies import Policies
from stepforge.generators.problem_sets import SourceItem
from stepforge.labelers import AnyPart
from stepforge.labelers.contracts import pooled_labeler, with_rates
from stepforge.pipelines.estimate.sample import Sample
from stepforge.pipelines.estimate.speed import Call, Trace, TracedEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.inputs.held_out import held_out_hits
from stepforge.pipelines.run.actors import open_models
from stepforge.pipelines.run.pool import Worker, WorkerDied, engine_gpus
from stepforge.pipelines.run.stages import attempt_all, curate, label_by, solve_for, vet
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Cost, LabeledProblem, cost_by_labeler
from stepforge.schemas.protocols import Scorer
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

Given = TypeVar("Given", SourceItem, SolvedProblem)
Done = TypeVar("Done", SolvedProblem, LabeledProblem)
ByLabeler = Mapping[str, Cost]


class PilotProblem(NamedTuple):
    id: str
    solve: Cost
    label: ByLabeler
    """As the run labels most of its problems; empty where vetting dropped the problem."""
    label_pooling: ByLabeler
    """As the run labels the problems from which it pools the rates."""
    solve_seconds: float
    label_seconds: float
    vetted: bool
    kept: bool
    labeled_steps: int


class Pilot(NamedTuple):
    problems: list[PilotProblem]
    calls: list[Call]
    solve_parallel: float
    """Requests in flight per problem in progress."""
    label_parallel: float
    startup_seconds: float
    """From starting the worker until its engine was loaded; not charged to a run."""
    seconds: float
    """At work."""
    loop_seconds: float
    """CPU time of the worker's own thread."""
    failures: int
    """Problems that could not be finished."""


class Phase(NamedTuple, Generic[Done]):
    rows: list[Done]
    calls: list[Call]
    seconds: dict[str, float]
    """Problem id -> time from its first to its last request."""
    loop: float
    """CPU time of the worker's own thread, without the engine's: the limit when the engine is fast."""
    failures: int

    @property
    def parallel(self) -> float:
        """Requests in flight per problem in progress."""
        together = sum(self.seconds.values())
        return sum(call.seconds for call in self.calls) / together if together else 0.0


class PilotWorker:
    """A Ray actor that loads the run's engine once, for all stages."""

    def __init__(self, run: RunFile) -> None:
        self.run = run
        self.grader = PooledGrader()
        self.engines: list[TracedEngine] = []
        self.scorer: Scorer | None = None

    async def ready(self) -> bool:
        if not self.engines:
            traced = (await open_models(self.run)).each(lambda _, engine: TracedEngine(engine, Trace()))
            self.scorer, self.engines = traced.scorer, [*traced.by_table.values()]
            self.policies = Policies(traced.by_table, self.run.policy, self.grader.run_python)
        return True

    async def measure(self, sample: Sample) -> Pilot:
        began, run = time.monotonic(), self.run
        solving = await self._timed(sample.items, self._solve)
        held_out = await asyncio.to_thread(held_out_hits, run.vet, [row.problem for row in solving.rows])
        vetted = vet(solving.rows, run.vet, Corpus(duplicate_of=sample.duplicate_of, held_out=held_out)).kept
        under_defaults: Phase[LabeledProblem] = Phase([], [], {}, 0.0, 0)
        rates: Record | None = None
        if (pooled := pooled_labeler(run.label)) is not None and vetted:
            under_defaults = await self._timed(vetted, partial(self._label, [pooled]))
            rows = under_defaults.rows
            rates = await asyncio.to_thread(pooled.fitted_rates, rows) if rows else None
        labeling = await self._timed(vetted, partial(self._label, [with_rates(part, rates) for part in run.label]))
        return Pilot(
            problems=_problems(run, sample, solving, under_defaults, labeling),
            calls=[*solving.calls, *under_defaults.calls, *labeling.calls],
            solve_parallel=solving.parallel,
            label_parallel=labeling.parallel,
            startup_seconds=0.0,
            seconds=time.monotonic() - began,
            loop_seconds=solving.loop + under_defaults.loop + labeling.loop,
            failures=solving.failures + labeling.failures,
        )

    async def close(self) -> None:
        for engine in self.engines:
            await engine.close()
        if self.scorer is not None:
            await self.scorer.close()
        await self.grader.close()

    async def _solve(self, item: SourceItem) -> SolvedProblem:
        policy = self.policies.solving(item.problem, supplied=bool(item.solutions))
        return await solve_for(self.run, item.problem, item.solutions, policy, self.grader, self.scorer)

    async def _label(self, parts: Sequence[AnyPart], row: SolvedProblem) -> LabeledProblem:
        return await label_by(self.policies, row, parts, self.grader, seed=self.run.seed, scorer=self.scorer)

    async def _timed(self, rows: Sequence[Given], work: Callable[[Given], Awaitable[Done]]) -> Phase[Done]:
        trace, seconds = Trace(), dict[str, float]()
        for engine in self.engines:
            engine.trace = trace

        async def timed(row: Given) -> Done:
            began = time.monotonic()
            done = await work(row)
            seconds[row.problem.id] = time.monotonic() - began
            return done

        used = time.thread_time()
        done, failures = await attempt_all(rows, timed, "pilot", lambda row: row.problem.id)
        return Phase(done, trace.calls, seconds, time.thread_time() - used, len(failures))


async def run_pilot(run: RunFile, sample: Sample) -> Pilot:
    """Run a sample through the stages on one of the run's engines; Ray must be running."""
    import ray

    began = time.monotonic()
    options = {"num_cpus": 0, "num_gpus": engine_gpus(run), "max_concurrency": 16}
    worker = Worker(partial(ray.remote(**options)(PilotWorker).remote, run), max_restarts=0)
    try:
        await worker.call("ready")
        startup = time.monotonic() - began
        pilot: Pilot = await worker.call("measure", sample)
        return pilot._replace(startup_seconds=startup)
    except WorkerDied as error:
        raise RunFailed(f"the worker died in the pilot ({error.__cause__}); its last output is above") from None
    finally:
        await worker.close()


def _problems(
    run: RunFile,
    sample: Sample,
    solving: Phase[SolvedProblem],
    under_defaults: Phase[LabeledProblem],
    labeling: Phase[LabeledProblem],
) -> list[PilotProblem]:
    solved = {row.problem.id: row for row in solving.rows}
    labels = {row.problem.id: _by_labeler(row) for row in labeling.rows}
    defaults = {row.problem.id: _by_labeler(row) for row in under_defaults.rows}
    cached = cost_by_labeler(entry for row in under_defaults.rows for entry in row.costs)
    steps = {row.problem.id: row.labeled_steps for row in curate(labeling.rows, run.curate).kept}
    return [
        PilotProblem(
            id=name,
            solve=Cost.of([r for r in solved[name].rollouts if r.tokens] if name in solved else []),
            label={labeler: _asked_once(cost, cached.get(labeler)) for labeler, cost in labels.get(name, {}).items()},
            label_pooling={**labels[name], **defaults.get(name, {})} if name in labels else {},
            solve_seconds=solving.seconds.get(name, 0.0),
            label_seconds=labeling.seconds.get(name, 0.0),
            vetted=name in labels,
            kept=name in steps,
            labeled_steps=steps.get(name, 0),
        )
        for name in (item.problem.id for item in sample.items)
    ]


def _by_labeler(row: LabeledProblem) -> ByLabeler:
    return {entry.labeler: entry.cost for entry in row.costs}


def _asked_once(cost: Cost, before: Cost | None) -> Cost:
    """When a labeler labels twice, the second pass finds in the prefix cache what a run would have to compute, so its
    cached share is taken from the first pass."""
    if before is None or not before.prompt_tokens:
        return cost
    share = before.cached_prompt_tokens / before.prompt_tokens
    return cost.model_copy(update={"cached_prompt_tokens": round(cost.prompt_tokens * share)})
