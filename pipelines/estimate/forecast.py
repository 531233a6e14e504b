"""From a pilot's problems to a run's: totals, with intervals by a bootstrap over the problems.

An interval is for the finished run: it holds both what the pilot leaves open about the mean, and how much the run's
own problems scatter about it. It does not hold what no pilot can see, such as other work on the same machines.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.estimate.pilot_problem import PilotProblem
from stepforge.pipelines.estimate.pilot_run import Pilot
from stepforge.pipelines.estimate.shape import Geometry, mean_active
from stepforge.pipelines.estimate.speed import Moments, StepTime, moments, wall_seconds
from stepforge.schemas.labeled import Cost
from stepforge.schemas.record import Record

Array = NDArray[np.float64]
REPLICATES = 1000
LEVEL = 0.95
COSTS = tuple(Cost.model_fields)


class Forecast(Record):
    """A figure of the finished run."""

    estimate: float
    low: float
    high: float
    """Ends of the central 95 % interval."""


class Plan(NamedTuple):
    """What the forecast needs to know of the run."""

    problems: int
    pooling: int
    """Problems labeled under default rates, from which the run's own are pooled."""
    rows_per_shard: int
    shards_in_flight: int
    """On each engine."""
    engines: int
    capacity: int
    """Requests that an engine takes at a time."""


class Draw(NamedTuple):
    """One possible run: how often each problem of the pilot stands for one of the run, and with which weights."""

    rest: Array
    pooling: Array
    weights: Array
    rates: int | None = None
    """Which of the rates that the run may come to; None: their mean."""


def forecast(pilot: Pilot, plan: Plan, *, seed: int, price: float | None = None) -> dict[str, Forecast]:
    """Return the run's figures by name; times in seconds but for ``engine_hours``, ``money`` in the price's unit.

    An engine is held from the first request of the run to the last, busy or not: that is what one pays for.
    A figure per row or step is left out where the pilot kept none.
    """
    columns = _columns(pilot.problems)
    times = _Times(pilot, plan, Random(seed))
    draws = [_expected(len(pilot.problems), plan), *_draws(len(pilot.problems), len(columns.label), plan, seed)]
    found = [_figures(columns, draw, times, plan, price) for draw in draws]
    return {name: _interval([figures[name] for figures in found]) for name, value in found[0].items() if value == value}


class _Columns(NamedTuple):
    """The pilot's problems as arrays, a row a problem."""

    solve: Array
    """(problems, costs), in the order of ``COSTS``."""
    label: list[dict[str, Array]]
    """By the rates that the run may come to, and labeler."""
    label_pooling: dict[str, Array]
    vetted: Array
    kept: Array
    steps: Array

    def label_of(self, draw: Draw) -> dict[str, Array]:
        """Cost of labeling the run's problems, except those that the rates are pooled from."""
        chosen = self.label if draw.rates is None else [self.label[draw.rates]]
        return {name: np.mean([draw.rest @ label[name] for label in chosen], axis=0) for name in self.label_pooling}


def _columns(problems: Sequence[PilotProblem]) -> _Columns:
    names = list(dict.fromkeys(name for p in problems for name in p.label_pooling))
    draws = max(1, *(len(p.label) for p in problems))  # none is labeled where nothing passes vetting
    return _Columns(
        solve=np.array([_numbers(p.solve) for p in problems]),
        label=[_by_labeler(names, [p.label[k] if p.label else {} for p in problems]) for k in range(draws)],
        label_pooling=_by_labeler(names, [p.label_pooling for p in problems]),
        vetted=np.array([float(p.vetted) for p in problems]),
        kept=np.array([float(p.kept) for p in problems]),
        steps=np.array([float(p.labeled_steps) for p in problems]),
    )


def _by_labeler(names: Sequence[str], costs: Sequence[Mapping[str, Cost]]) -> dict[str, Array]:
    return {name: np.array([_numbers(cost.get(name)) for cost in costs]) for name in names}


def _numbers(cost: Cost | None) -> list[float]:
    return [float(getattr(cost, name)) if cost else 0.0 for name in COSTS]


def _expected(count: int, plan: Plan) -> Draw:
    rest = plan.problems - plan.pooling
    return Draw(np.full(count, rest / count), np.full(count, plan.pooling / count), np.ones(count))


def _draws(count: int, rates: int, plan: Plan, seed: int) -> list[Draw]:
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(REPLICATES):
        weights = rng.multinomial(count, np.full(count, 1 / count)).astype(float)
        chances = weights / count
        rest = rng.multinomial(plan.problems - plan.pooling, chances).astype(float)
        pooling = rng.multinomial(plan.pooling, chances).astype(float)
        draws.append(Draw(rest, pooling, weights, int(rng.integers(rates))))
    return draws


def _figures(columns: _Columns, draw: Draw, times: "_Times", plan: Plan, price: float | None) -> dict[str, float]:
    everything = draw.rest + draw.pooling
    label, pooling = columns.label_of(draw), {name: draw.pooling @ a for name, a in columns.label_pooling.items()}
    parts = {"solve": everything @ columns.solve}
    parts |= {f"label: {name}": label[name] + pooling[name] for name in label}
    figures: dict[str, float] = {}
    total: Array = np.sum([*parts.values()], axis=0)
    for part, spent in {"total": total, **parts}.items():
        figures |= {f"{part}.{name}": float(value) for name, value in zip(COSTS, spent, strict=True)}
    figures |= {"rows.vetted": float(everything @ columns.vetted), "rows.kept": float(everything @ columns.kept)}
    figures["rows.labeled_steps"] = float(everything @ columns.steps)
    phases = {"solve": parts["solve"], "pooling": _sum(pooling), "label": _sum(label)}
    figures |= _time_figures(times.wall(phases, draw.weights), plan, price)
    return figures | _prices(figures)


def _sum(costs: Mapping[str, Array]) -> Array:
    return sum(costs.values(), np.zeros(len(COSTS)))


def _time_figures(seconds: float, plan: Plan, price: float | None) -> dict[str, float]:
    figures = {"seconds": seconds, "engine_hours": seconds * plan.engines / 3600}
    return figures if price is None else figures | {"money": figures["engine_hours"] * price}


def _prices(figures: Mapping[str, float]) -> dict[str, float]:
    spent = {name: figures[f"total.{name}"] for name in COSTS}
    spent |= {"engine_seconds_held": figures["engine_hours"] * 3600}
    spent |= {"money": figures["money"]} if "money" in figures else {}
    by = {"per_labeled_step": figures["rows.labeled_steps"], "per_kept_row": figures["rows.kept"]}
    return {
        f"{unit}.{name}": value / count if count else float("nan")
        for unit, count in by.items()
        for name, value in spent.items()
    }


class _Times:
    """The run's wall-clock time by what it asks of its engines."""

    def __init__(self, pilot: Pilot, plan: Plan, rng: Random) -> None:
        self._plan = plan
        parallel = {"solve": pilot.solve_parallel, "pooling": pilot.label_parallel, "label": pilot.label_parallel}
        self._moments: Moments = moments(pilot.calls)
        self._ids = [problem.id for problem in pilot.problems]
        self._loop = pilot.loop_seconds / len(pilot.calls) if pilot.calls else 0.0
        label = [p.label_seconds for p in pilot.problems]
        later = plan.problems - plan.pooling
        active = {
            "solve": self._active([p.solve_seconds for p in pilot.problems], plan.problems, rng),
            "pooling": self._active(label, plan.pooling, rng),
            "label": self._active(label, later, rng),
        }
        self.running = {phase: active[phase] * parallel[phase] / plan.engines for phase in active}
        """Rollouts under way on each engine, by phase."""

    def wall(self, spent: Mapping[str, Array], weights: Array) -> float:
        """Return the seconds of the run, of which ``spent`` gives the costs by phase.

        While the problems are labeled from which rates are pooled, the others are being solved; then come the others'
        labels. No phase is faster than the workers' own threads allow.
        """
        place = {name: i for i, name in enumerate(self._ids)}
        fit = self._moments.fit(np.array([weights[place[name]] for name in self._moments.problems]))
        together = self.running["solve"] + self.running["pooling"]
        first = self._seconds(fit, spent["solve"] + spent["pooling"], together)
        alone = self._seconds(fit, spent["pooling"], self.running["pooling"])
        return max(first, alone) + self._seconds(fit, spent["label"], self.running["label"])

    def _seconds(self, fit: StepTime, spent: Array, running: float) -> float:
        rollouts, tokens = float(spent[0]), float(spent[1])
        plan = self._plan
        engine = wall_seconds(fit, rollouts, tokens, running=running, engines=plan.engines, capacity=plan.capacity)
        return max(engine, rollouts * self._loop / plan.engines)

    def _active(self, seconds: Sequence[float], problems: int, rng: Random) -> float:
        slots = self._plan.engines * self._plan.shards_in_flight
        return mean_active(seconds, Geometry(problems, self._plan.rows_per_shard, slots), rng)


def fullest(pilot: Pilot, plan: Plan, *, seed: int) -> float:
    """Return how many rollouts the run has under way on each engine in the phase that keeps it fullest."""
    return max(_Times(pilot, plan, Random(seed)).running.values())


def _interval(values: Sequence[float]) -> Forecast:
    """The first value is the estimate, the others are replicates."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values[1:], [tail, 1 - tail]) if len(values) > 1 else (values[0], values[0])
    return Forecast(estimate=values[0], low=float(low), high=float(high))
