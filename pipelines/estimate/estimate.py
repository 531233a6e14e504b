"""The estimate of a run: draw a pilot, run it, forecast, show. Leaves no files."""

from collections.abc import Mapping

from stepforge.pipelines.engines import AnyEngine, ServerEngineSettings, TransformersEngineSettings, VllmEngineSettings
from stepforge.pipelines.estimate.forecast import Forecast, RunSize, forecast, running
from stepforge.pipelines.estimate.pilot import Pilot, run_pilot
from stepforge.pipelines.estimate.sample import Sample, draw
from stepforge.pipelines.progress.snapshot import duration
from stepforge.pipelines.run.cluster import loads_from_hub, start_ray, stop_ray
from stepforge.pipelines.run.stopping import Stopping
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.terminal.tables import table
from stepforge.schemas.record import Record

NO_LIMIT = 1_000_000
"""Requests in flight in an engine that computes nothing."""

ASSUMED_SEQS = 256
"""Requests that vLLM computes together when it decides this at startup."""
TOTALS = (
    ("total.rollouts", "rollouts"),
    ("total.generated_tokens", "generated tokens"),
    ("total.prompt_tokens", "prompt tokens"),
    ("total.cached_prompt_tokens", "of which cached"),
    ("rows.vetted", "problems labeled"),
    ("rows.kept", "rows kept"),
    ("rows.labeled_steps", "labeled steps kept"),
    ("engine_hours", "engine-hours"),
    ("seconds", "wall-clock time"),
    ("money", "money"),
)
COSTS = (("rollouts", "rollouts"), ("generated_tokens", "generated tokens"), ("prompt_tokens", "prompt tokens"))
PRICES = (
    *COSTS,
    ("cached_prompt_tokens", "cached"),
    ("engine_seconds_held", "engine-seconds held"),
    ("money", "money"),
)


UNITS = ("per_labeled_step", "per_kept_row")


class PilotFacts(Record):
    problems: int
    strata: int
    """Pairs of source and difficulty in the run."""
    vetted: int
    kept: int
    failures: int
    startup_seconds: float
    """Until the engine was loaded; not part of any forecast."""
    seconds: float
    """At work."""
    running: float
    """Most rollouts in flight on an engine."""


class Estimate(Record):
    problems: int
    pooling_problems: int
    """Those labeled with default rates first, from which the run's own rates are pooled."""
    engines: int
    running: float
    """Rollouts that the run keeps in flight on each engine."""
    pilot: PilotFacts
    figures: dict[str, Forecast]
    notes: tuple[str, ...]


def estimate(run: RunFile, *, problems: int, price: float | None = None) -> Estimate:
    """Run a pilot of ``problems`` problems and forecast the run; ``price`` is that of an engine for an hour."""
    sample = draw(run, problems)
    with Stopping() as stopping:
        try:
            with stopping.held():
                start_ray(hub_token=loads_from_hub(run))
            pilot = stopping.run(run_pilot(run, sample))
        finally:
            with stopping.held():
                stop_ray()
    return _estimate(run, sample, pilot, price)


def _estimate(run: RunFile, sample: Sample, pilot: Pilot, price: float | None) -> Estimate:
    size = RunSize(
        problems=sample.problems,
        pooling=min(sample.pooling, sample.problems),
        rows_per_shard=run.rows_per_shard,
        shards_in_flight=run.workers.shards_in_flight,
        engines=run.workers.engine,
        capacity=sum(
            min(computed_together(engine), run.workers.requests_in_flight or NO_LIMIT)
            for engine in (run.engine, *run.engines.values())
        ),
    )
    fullest = running(pilot, size, seed=run.seed)
    facts = PilotFacts(
        problems=len(pilot.problems),
        strata=sample.strata,
        vetted=sum(p.vetted for p in pilot.problems),
        kept=sum(p.kept for p in pilot.problems),
        failures=pilot.failures,
        startup_seconds=round(pilot.startup_seconds, 1),
        seconds=round(pilot.seconds, 1),
        running=round(max((call.running for call in pilot.calls), default=0.0), 1),
    )
    return Estimate(
        problems=size.problems,
        pooling_problems=size.pooling,
        engines=size.engines,
        running=round(fullest, 1),
        pilot=facts,
        figures=forecast(pilot, size, seed=run.seed, price=price),
        notes=tuple(_notes(sample, facts, size, fullest)),
    )


def computed_together(settings: AnyEngine) -> int:
    match settings:
        case VllmEngineSettings():
            return settings.max_num_seqs or ASSUMED_SEQS
        case TransformersEngineSettings():
            return settings.batch_size
        case ServerEngineSettings():
            return settings.connections
        case _:
            return NO_LIMIT


def _notes(sample: Sample, facts: PilotFacts, size: RunSize, fullest: float) -> list[str]:
    notes = [
        f"starting the engine took {facts.startup_seconds:.0f} s and is not in the figures; nor are writing "
        "shards, exporting and reporting"
    ]
    if fullest > 1.5 * facts.running:
        notes.append(
            f"the run keeps about {fullest:.0f} rollouts in flight on each engine, the pilot {facts.running:.0f} at "
            "most: the time is extrapolated; a larger --problems-in-pilot is more accurate"
        )
    if size.engines > 1:
        notes.append(f"one of the run's {size.engines} engines was measured; the others are assumed equally fast")
    if size.pooling:
        notes.append(
            f"{size.pooling} of the problems are labeled with default rates first, the others with rates pooled "
            "from them; both were measured"
        )
    if not sample.whole:
        notes.append("the run is large: only part of it was searched for duplicate questions")
    if not facts.vetted:
        notes.append(
            "no problem of the pilot passed vetting, so labels cost nothing here and the run would give no rows: check "
            "the [[vet]] filters, policy.prompt and the problems' difficulty"
        )
    if facts.failures:
        notes.append(f"{facts.failures} problems of the pilot could not be finished, and count as free")
    return notes


def estimate_text(estimate: Estimate) -> str:
    pilot = estimate.pilot
    kinds = "kind" if pilot.strata == 1 else "kinds"
    engine = "one engine" if estimate.engines == 1 else f"one of {estimate.engines} engines"
    head = (
        f"{estimate.problems} problems; pilot: {pilot.problems} of them, spread over {pilot.strata} {kinds} "
        f"(source and difficulty), {pilot.vetted} vetted, {pilot.kept} kept, "
        f"on {engine} in {duration(pilot.seconds)}"
    )
    blocks = [head, _totals(estimate.figures), _parts(estimate.figures), _prices(estimate.figures)]
    return "\n\n".join(block for block in (*blocks, *estimate.notes) if block)


def _totals(figures: Mapping[str, Forecast]) -> str:
    rows = []
    for key, title in TOTALS:
        if key in figures:
            found, as_text = figures[key], duration if key == "seconds" else amount
            rows.append((title, as_text(found.estimate), f"{as_text(found.low)} to {as_text(found.high)}"))
    return table(("the whole run", "estimate", "95 % interval"), rows)


def _parts(figures: Mapping[str, Forecast]) -> str:
    parts = [key.removesuffix(".rollouts") for key in figures if key.startswith(("solve", "label:"))]
    rows = ((part, *(spread(figures.get(f"{part}.{name}")) for name, _ in COSTS)) for part in parts if "." not in part)
    return table(("part of it", *(title for _, title in COSTS)), rows)


def _prices(figures: Mapping[str, Forecast]) -> str:
    found = ((title, [figures.get(f"{unit}.{name}") for unit in UNITS]) for name, title in PRICES)
    rows = ((title, *map(spread, both)) for title, both in found if any(both))
    return table(("price", *(unit.replace("_", " ") for unit in UNITS)), rows)


def spread(forecast: Forecast | None) -> str | None:
    if forecast is None:
        return None
    return f"{amount(forecast.estimate)} ({amount(forecast.low)} to {amount(forecast.high)})"


def amount(value: float) -> str:
    """Return a figure with three significant digits."""
    if value >= 1000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"
