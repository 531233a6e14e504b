"""A pilot: a sample of a run's problems through all stages, in memory, on the run's own engine."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from filters import Corpus
from labelers import ChangePoint
from labelers.rates import Rates
from pipelines.estimate.pilot_worker import Phase, PilotWorker
from pipelines.estimate.sample import Sample
from pipelines.estimate.speed import parallel
from pipelines.estimate.trace import Call
from pipelines.pilot import fitted_rates, pooling_labeler
from pipelines.pool import Worker, WorkerDied, engine_gpus
from pipelines.run_file import RunFile
from pipelines.shard_work import with_rates
from pipelines.stages import curate, vet
from schemas.errors import RunFailed
from schemas.labeled import Cost, LabeledProblem
from schemas.rollout import SolvedProblem

LEAST_PER_ENGINE = 8
"""Problems that a pilot has for each engine it starts, so that they are not idle for most of it."""


class PilotProblem(NamedTuple):
    """What one problem of the pilot took, and what came of it."""

    id: str
    solve: Cost
    label: dict[str, Cost]
    """By labeler, as the run labels most of its problems; empty where vetting dropped the problem."""
    label_pooling: dict[str, Cost]
    """By labeler, as the run labels the problems from which it pools the rates."""
    solve_seconds: float
    label_seconds: float
    vetted: bool
    kept: bool
    labelled_steps: int


class Pilot(NamedTuple):
    """What was measured."""

    problems: list[PilotProblem]
    calls: list[Call]
    solve_parallel: float
    """Requests under way for each problem under way."""
    label_parallel: float
    engines: int
    startup_seconds: float
    """From starting the workers until every engine was loaded; no part of what a run is charged for."""
    seconds: float
    """At work."""
    loop_seconds: float
    """Processor time of the workers' own threads."""
    failures: int
    """Problems that could not be finished."""


def pilot_engines(run: RunFile, sample: Sample) -> int:
    """Return how many of the run's engines a pilot keeps busy."""
    return max(1, min(run.workers.engine, len(sample.items) // LEAST_PER_ENGINE))


async def run_pilot(run: RunFile, sample: Sample) -> Pilot:
    """Take a sample through the stages; Ray must have been started.

    Raises:
        BadInput: the engine cannot be loaded.
        RunFailed: it died.
    """
    import ray

    began = time.monotonic()
    options = {"num_cpus": 0, "num_gpus": engine_gpus(run), "max_concurrency": 16}
    start = partial(ray.remote(**options)(PilotWorker).remote, run)
    workers = [Worker(start, max_restarts=0) for _ in range(pilot_engines(run, sample))]
    try:
        await _all([worker.call("ready") for worker in workers])
        startup = time.monotonic() - began
        return await _measure(run, sample, workers, startup)
    finally:
        await asyncio.gather(*(worker.close() for worker in workers))


async def _measure(run: RunFile, sample: Sample, workers: Sequence[Worker], startup: float) -> Pilot:
    began = time.monotonic()
    solving = await _spread("solve", workers, sample.items)
    vetted = vet(_rows(solving, SolvedProblem), run.vet, Corpus(duplicate_of=sample.duplicate_of)).kept
    pooling = pooling_labeler(run)
    first: list[Phase] = []
    rates: Rates | None = None
    if pooling is not None:
        under_defaults = [part for part in run.label if isinstance(part, ChangePoint) and part.pilot]
        first = await _spread("label", workers, vetted, under_defaults)
        rates = fitted_rates(_rows(first, LabeledProblem), pooling)
    labelling = await _spread("label", workers, vetted, [with_rates(part, rates) for part in run.label])
    seconds = time.monotonic() - began
    phases = [*solving, *first, *labelling]
    return Pilot(
        problems=_problems(run, sample, solving, first, labelling),
        calls=_calls(phases),
        solve_parallel=_parallel(solving),
        label_parallel=_parallel([*first, *labelling]),
        engines=len(workers),
        startup_seconds=startup,
        seconds=seconds,
        loop_seconds=sum(phase.loop for phase in phases),
        failures=sum(len(phase.failures) for phase in (*solving, *labelling)),
    )


def _problems(
    run: RunFile, sample: Sample, solving: Sequence[Phase], first: Sequence[Phase], labelling: Sequence[Phase]
) -> list[PilotProblem]:
    solved = {row.problem.id: row for row in _rows(solving, SolvedProblem)}
    labelled = {row.problem.id: row for row in _rows(labelling, LabeledProblem)}
    under_defaults = {row.problem.id: _costs(row) for row in _rows(first, LabeledProblem)}
    cached = _cached_shares(under_defaults.values())
    curated = curate([*labelled.values()], run.curate).kept
    kept = {row.problem.id: row for row in curated if isinstance(row, LabeledProblem)}
    solve_seconds, label_seconds = _seconds(solving), _seconds(labelling)
    problems = []
    for name in (item.problem.id for item in sample.items):
        rollouts = [r for r in solved[name].rollouts if r.tokens] if name in solved else []
        costs = _as_asked_once(_costs(labelled[name]), cached) if name in labelled else {}
        problems.append(
            PilotProblem(
                id=name,
                solve=Cost.of(rollouts),
                label=costs,
                label_pooling=costs | (under_defaults.get(name, {}) if costs else {}),
                solve_seconds=solve_seconds.get(name, 0.0),
                label_seconds=label_seconds.get(name, 0.0),
                vetted=name in labelled,
                kept=name in kept,
                labelled_steps=kept[name].labelled_steps if name in kept else 0,
            )
        )
    return problems


def _cached_shares(costs: Iterable[dict[str, Cost]]) -> dict[str, float]:
    """Return each labeler's cached share of the prompt tokens."""
    total: dict[str, Cost] = {}
    for by_labeler in costs:
        for name, cost in by_labeler.items():
            total[name] = total.get(name, Cost()) + cost
    return {name: c.cached_prompt_tokens / c.prompt_tokens for name, c in total.items() if c.prompt_tokens}


def _as_asked_once(costs: dict[str, Cost], cached: dict[str, float]) -> dict[str, Cost]:
    """A labeler that labels twice finds in the prefix cache the second time what a run would have to compute."""
    return {
        name: cost.model_copy(update={"cached_prompt_tokens": round(cost.prompt_tokens * cached[name])})
        if name in cached
        else cost
        for name, cost in costs.items()
    }


async def _spread(method: str, workers: Sequence[Worker], rows: Sequence[Any], *more: Any) -> list[Phase]:
    """Give each worker every so-manieth row."""
    shares = [rows[i :: len(workers)] for i in range(len(workers))]
    found: list[Phase] = await _all(
        [worker.call(method, share, *more) for worker, share in zip(workers, shares, strict=True) if share]
    )
    return found


async def _all(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    try:
        return await asyncio.gather(*calls)
    except WorkerDied as error:
        raise RunFailed(f"a worker died in the pilot ({error.__cause__}); its last words are above") from None


def _calls(phases: Sequence[Phase]) -> list[Call]:
    return [call for phase in phases for call in phase.calls]


def _parallel(phases: Sequence[Phase]) -> float:
    return parallel(_calls(phases), sum(sum(phase.seconds.values()) for phase in phases))


def _rows(phases: Sequence[Phase], record: type[Any]) -> list[Any]:
    return [row for phase in phases for row in phase.rows if isinstance(row, record)]


def _seconds(phases: Sequence[Phase]) -> dict[str, float]:
    return {name: seconds for phase in phases for name, seconds in phase.seconds.items()}


def _costs(row: LabeledProblem) -> dict[str, Cost]:
    return {entry.labeler: entry.cost for entry in row.costs}
