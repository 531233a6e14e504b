"""An estimate for the terminal."""

from collections.abc import Mapping

from stepforge.pipelines.estimate.estimate import Estimate
from stepforge.pipelines.estimate.forecast import Forecast
from stepforge.pipelines.progress.text import duration
from stepforge.pipelines.reports.text import table

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


def estimate_text(estimate: Estimate) -> str:
    pilot = estimate.pilot
    kinds = "kind" if pilot.strata == 1 else "kinds"
    head = (
        f"{estimate.problems} problems; pilot: {pilot.problems} of them, spread over {pilot.strata} {kinds} "
        f"(source and difficulty), {pilot.vetted} vetted, {pilot.kept} kept, "
        f"on {pilot.engines} of {estimate.engines} engines in {duration(pilot.seconds)}"
    )
    blocks = [head, _totals(estimate.figures), _parts(estimate.figures), _prices(estimate.figures)]
    return "\n\n".join(block for block in (*blocks, *estimate.notes) if block)


def _totals(figures: Mapping[str, Forecast]) -> str:
    rows = [("the whole run", "estimate", "95 % interval")]
    for key, title in TOTALS:
        if key in figures:
            found, as_text = figures[key], duration if key == "seconds" else amount
            rows.append((title, as_text(found.estimate), f"{as_text(found.low)} to {as_text(found.high)}"))
    return table(rows)


def _parts(figures: Mapping[str, Forecast]) -> str:
    parts = [key.removesuffix(".rollouts") for key in figures if key.startswith(("solve", "label:"))]
    rows: list[tuple[str, ...]] = [("part of it", *(title for _, title in COSTS))]
    for part in dict.fromkeys(key for key in parts if "." not in key):
        rows.append((part, *(spread(figures[f"{part}.{name}"]) for name, _ in COSTS)))
    return table(rows)


def _prices(figures: Mapping[str, Forecast]) -> str:
    rows: list[tuple[str, ...]] = [("price", "per labeled step", "per kept row")]
    for name, title in PRICES:
        found = [figures.get(f"{unit}.{name}") for unit in ("per_labeled_step", "per_kept_row")]
        if any(found):
            rows.append((title, *(spread(one) if one else "-" for one in found)))
    return table(rows) if len(rows) > 1 else ""


def spread(forecast: Forecast) -> str:
    return f"{amount(forecast.estimate)} ({amount(forecast.low)} to {amount(forecast.high)})"


def amount(value: float) -> str:
    """Return a figure with three significant digits."""
    if value >= 1000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"
