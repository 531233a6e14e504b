"""From a pilot's problems to a run's: totals, with intervals by a bootstrap over the problems.

An interval is for the finished run: it covers both the pilot's uncertainty about the mean and the scatter of the run's
own problems. It does not cover what no pilot can see, such as other work on the same machines, or pooled rates that
differ from those fitted to the pilot.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.estimate.pilot import ByLabeler, Pilot, PilotProblem
from stepforge.pipelines.estimate.speed import mean_active, step_time
from stepforge.schemas.labeled import Cost
from stepforge.schemas.record import Record

Array = NDArray[np.float64]
REPLICATES = 1000
LEVEL = 0.95
COSTS = tuple(Cost.model_fields)


class Forecast(Record):
    estimate: float
    low: float
    high: float
    """Ends of the central 95 % interval."""


class RunSize(NamedTuple):
    problems: int
    pooling: int
    """Problems labeled under default rates, from which the run's own are pooled."""
    rows_per_shard: int
    shards_in_flight: int
    """On each engine."""
    engines: int
    capacity: int
    """Requests that an engine computes at a time."""


def forecast(pilot: Pilot, size: RunSize, *, seed: int, price: float | None = None) -> dict[str, Forecast]:
    """Return the run's figures by name; times in seconds but for ``engine_hours``, ``money`` in the price's unit.

    An engine is held from the run's first request to its last, busy or not: that is what you pay for. A figure per row
    or step is omitted if the pilot kept none.
    """
    names = list(dict.fromkeys(name for problem in pilot.problems for name in problem.label_pooling))
    rest, pooling = (_columns(pilot.problems, names, pooling=pooling) for pooling in (False, True))
    clock = _Clock(pilot, size, seed)
    found = [
        _figures(names, often @ rest, first @ pooling, seen, clock, price)
        for often, first, seen in _draws(len(pilot.problems), size, seed)
    ]
    return {name: _interval([figures[name] for figures in found]) for name, value in found[0].items() if value == value}


def running(pilot: Pilot, size: RunSize, *, seed: int) -> float:
    """Return how many rollouts the run has in flight on each engine in its fullest phase."""
    return max(_Clock(pilot, size, seed).running.values())


def _columns(problems: Sequence[PilotProblem], names: Sequence[str], *, pooling: bool) -> Array:
    """Return (problems, figures): costs of solving, costs of each labeler, then vetted, kept and labeled steps."""

    def row(problem: PilotProblem) -> list[float]:
        label: ByLabeler = problem.label_pooling if pooling else problem.label
        costs = [problem.solve, *(label.get(name, Cost()) for name in names)]
        spent = [float(getattr(cost, name)) for cost in costs for name in COSTS]
        return [*spent, problem.vetted, problem.kept, problem.labeled_steps]

    return np.array([row(problem) for problem in problems], dtype=float)


def _draws(count: int, size: RunSize, seed: int) -> list[tuple[Array, Array, float]]:
    """Return how many of the run's problems each pilot problem represents, after the pooling and before it, and the
    share of the run's problems that are of a kind the pilot met; first in expectation, then in simulated runs.

    A pilot that kept every problem does not show that the run will: in simulated runs the share of other kinds is drawn
    from Jeffreys' posterior of a share that was seen in none of ``count`` problems.
    """
    rng = np.random.default_rng(seed)
    later = size.problems - size.pooling
    draws = [(np.full(count, later / count), np.full(count, size.pooling / count), 1.0)]
    for _ in range(REPLICATES):
        chances = rng.multinomial(count, np.full(count, 1 / count)) / count
        drawn = rng.multinomial(later, chances), rng.multinomial(size.pooling, chances)
        draws.append((drawn[0].astype(float), drawn[1].astype(float), 1 - rng.beta(0.5, count + 0.5)))
    return draws


def _figures(
    names: Sequence[str], rest: Array, pooling: Array, seen: float, clock: "_Clock", price: float | None
) -> dict[str, float]:
    parts = ["solve", *(f"label: {name}" for name in names)]
    costs_rest, costs_pooling = (sums[:-3].reshape(-1, len(COSTS)) for sums in (rest, pooling))
    costs = costs_rest + costs_pooling
    figures = {
        f"{part}.{name}": float(value)
        for part, spent in zip(("total", *parts), (costs.sum(0), *costs), strict=True)
        for name, value in zip(COSTS, spent, strict=True)
    }
    rows = zip(("rows.vetted", "rows.kept", "rows.labeled_steps"), (rest[-3:] + pooling[-3:]) * seen, strict=True)
    figures |= {name: float(value) for name, value in rows}
    figures["seconds"] = clock.wall(costs[0], costs_pooling[1:].sum(0), costs_rest[1:].sum(0))
    figures["engine_hours"] = figures["seconds"] * clock.size.engines / 3600
    if price is not None:
        figures["money"] = figures["engine_hours"] * price
    return figures | _prices(figures)


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


class _Clock:
    def __init__(self, pilot: Pilot, size: RunSize, seed: int) -> None:
        self.size = size
        self._time = step_time(pilot.calls)
        self._loop = pilot.loop_seconds / len(pilot.calls) if pilot.calls else 0.0
        rng, slots = Random(seed), size.engines * size.shards_in_flight
        solving = [problem.solve_seconds for problem in pilot.problems]
        labeling = [problem.label_seconds for problem in pilot.problems]
        phases = {
            "solve": (solving, size.problems, pilot.solve_parallel),
            "pooling": (labeling, size.pooling, pilot.label_parallel),
            "label": (labeling, size.problems - size.pooling, pilot.label_parallel),
        }
        self.running = {
            phase: mean_active(seconds, count, size.rows_per_shard, slots, rng) * parallel / size.engines
            for phase, (seconds, count, parallel) in phases.items()
        }
        """Rollouts in flight on each engine, by phase."""

    def wall(self, solve: Array, pooling: Array, label: Array) -> float:
        """Return the seconds of the run, given the costs of its phases.

        While the problems are labeled from which rates are pooled, the others are being solved; then come the others'
        labels. No phase is faster than the workers' own threads allow.
        """
        together = self._seconds(solve + pooling, self.running["solve"] + self.running["pooling"])
        alone = self._seconds(pooling, self.running["pooling"])
        return max(together, alone) + self._seconds(label, self.running["label"])

    def _seconds(self, spent: Array, running: float) -> float:
        rollouts, tokens = float(spent[0]), float(spent[1])
        engines, capacity = self.size.engines, self.size.capacity
        engine = self._time.wall_seconds(rollouts, tokens, running, engines=engines, capacity=capacity)
        return max(engine, rollouts * self._loop / engines)


def _interval(values: Sequence[float]) -> Forecast:
    """The first value is the estimate, the others are replicates."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values[1:], [tail, 1 - tail]) if len(values) > 1 else (values[0], values[0])
    return Forecast(estimate=values[0], low=float(low), high=float(high))
