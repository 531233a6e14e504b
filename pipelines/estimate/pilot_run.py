"""A pilot: a sample of a run's problems through all stages, in memory, on the run's own engine."""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from stepforge.filters import Corpus
from stepforge.labelers import AnyPart, PooledLabeler
from stepforge.labelers.contracts import pooled_labeler, with_rates
from stepforge.pipelines.estimate.pilot_problem import PilotPhases, PilotProblem, pilot_problems, rows_of
from stepforge.pipelines.estimate.pilot_worker import Phase, PilotWorker
from stepforge.pipelines.estimate.sample import Sample
from stepforge.pipelines.estimate.speed import parallel
from stepforge.pipelines.estimate.trace import Call
from stepforge.pipelines.inputs.held_out import held_out_hits
from stepforge.pipelines.run.pool import Worker, WorkerDied, engine_gpus
from stepforge.pipelines.run.stages import vet
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem
from stepforge.schemas.seeds import rng_of

RATES_DRAWN = 3
"""Rates that are fitted to other draws from the pilot: how far they differ is part of the intervals."""
LEAST_PER_ENGINE = 8
"""Problems that a pilot has for each engine it starts, so that they are not idle for most of it."""


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
    """Take a sample through the stages; Ray must have been started."""
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
    solved = rows_of(solving, SolvedProblem)
    held_out = await asyncio.to_thread(held_out_hits, run.vet, [row.problem for row in solved])
    vetted = vet(solved, run.vet, Corpus(duplicate_of=sample.duplicate_of, held_out=held_out)).kept
    under_defaults: list[Phase] = []
    rates: list[Record | None] = [None]
    if pooled_labeler(run.label) is not None:
        under_defaults = await _spread("label", workers, vetted, _pooled(run, None))
        rows = rows_of(under_defaults, LabeledProblem)
        rates = await asyncio.to_thread(lambda: [*_likely_rates(run, sample, rows)]) or rates
    labeling = await _spread("label", workers, vetted, [with_rates(part, rates[0]) for part in run.label])
    others = [await _spread("label", workers, vetted, _pooled(run, drawn)) for drawn in rates[1:]]
    phases = [*solving, *under_defaults, *labeling, *(phase for other in others for phase in other)]
    return Pilot(
        problems=pilot_problems(run, sample, PilotPhases(solving, under_defaults, labeling, others)),
        calls=_calls(phases),
        solve_parallel=_parallel(solving),
        label_parallel=_parallel(labeling),
        engines=len(workers),
        startup_seconds=startup,
        seconds=time.monotonic() - began,
        loop_seconds=sum(phase.loop for phase in phases),
        failures=sum(len(phase.failures) for phase in (*solving, *labeling)),
    )


def _pooled(run: RunFile, rates: Record | None) -> list[AnyPart]:
    """Return the labelers that the rates make a difference to."""
    return [with_rates(part, rates) for part in run.label if isinstance(part, PooledLabeler) and part.pilot]


def _likely_rates(run: RunFile, sample: Sample, rows: Sequence[LabeledProblem]) -> Iterator[Record]:
    """Yield rates that the run may come to: fitted to as many problems as its own pilot has, drawn from ours.

    Rates decide how much is asked, and from few problems they vary a lot.
    """
    part = pooled_labeler(run.label)
    if part is None or not rows:
        return
    rows = sorted(rows, key=lambda row: row.problem.id)  # whichever engine they came from
    rng = rng_of(run.seed, "estimate", "rates")
    count = max(1, round(sample.pooling * len(rows) / len(sample.items)))
    for _ in range(RATES_DRAWN):
        yield part.fitted_rates(rng.sample(rows, count) if count <= len(rows) else rng.choices(rows, k=count))


async def _spread(method: str, workers: Sequence[Worker], rows: Sequence[Any], *more: Any) -> list[Phase]:
    """Deal the rows out to the workers."""
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
