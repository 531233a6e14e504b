"""How near `stepforge estimate` comes: forecasts a run, does the run, and holds one against the other.

    python -m benchmarks.estimate configs/dry_run.toml --set problems=600 --set engine.latency_ms=250

Results go to ``benchmarks/results/estimate.json``, an entry for each configuration. The machine should have as much
else to do in one half as in the other.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.measured import keep
from stepforge.pipelines.estimate.estimate import Estimate, estimate
from stepforge.pipelines.run.driver import run_all
from stepforge.pipelines.run.preflight import preflight
from stepforge.pipelines.settings.run_settings import read_run_file


def actual_figures(ledger: dict[str, Any]) -> dict[str, float]:
    """Return the actual costs of a finished run, under the names that an estimate uses.

    Raises:
        ValueError: it was stopped in between, so that its time says nothing.
    """
    if len(ledger["sessions"]) != 1:
        raise ValueError("the run took more than one session")
    stages, times = ledger["stages"], ledger["sessions"][0]["stages"]
    figures = {f"total.{name}": value for name, value in ledger["total"].items()}
    figures |= {f"solve.{name}": value for name, value in stages["solve"]["cost"].items()}
    for labeler, cost in ledger["labelers"].items():
        figures |= {f"label: {labeler}.{name}": value for name, value in cost.items()}
    curated = stages["curate"]
    figures |= {"rows.vetted": stages["vet"]["rows_out"], "rows.kept": curated["rows_out"]}
    figures |= {"rows.labeled_steps": curated["labeled_steps"]}
    for unit in ("per_labeled_step", "per_kept_row"):
        figures |= {f"{unit}.{name}": value for name, value in (ledger[unit] or {}).items()}
    return figures | {"seconds": times["label"]["last"] - times["solve"]["first"]}


def compared(found: Estimate, ledger: dict[str, Any]) -> dict[str, Any]:
    """Return each figure's estimate, interval, actual value and error, and the share that lies in its interval."""
    rows = {}
    for name, value in actual_figures(ledger).items():
        if name in found.figures:
            figure = found.figures[name]
            held = figure.low <= value <= figure.high
            error = round(figure.estimate / value - 1, 4) if value else None
            rows[name] = {**figure.model_dump(), "actual": value, "error": error, "in_interval": held}
    share = round(sum(row["in_interval"] for row in rows.values()) / len(rows), 3)
    pilot = found.pilot.model_dump()
    return {"pilot": pilot, "problems": found.problems, "in_interval": share, "figures": rows}


Overrides = Annotated[list[str] | None, typer.Option("--set")]


def main(run_file: Path, overrides: Overrides = None, problems_in_pilot: int = 36) -> None:
    run = read_run_file(run_file, overrides or [])
    preflight(run)
    found = estimate(run, problems=problems_in_pilot)
    with TemporaryDirectory() as folder:
        run_all(run, Path(folder))
        result = compared(found, json.loads((Path(folder) / "ledger.json").read_text()))
    keep("estimate.json", " ".join([str(run_file), *(overrides or [])]), result)
    for name, row in result["figures"].items():
        error = "" if row["error"] is None else f"{row['error']:+.1%}"
        interval = f"({row['low']:.5g} to {row['high']:.5g})"
        print(f"{name:48} {row['estimate']:12.5g} {interval:26} {row['actual']:12.5g} {error:>8}")
    print(f"in their intervals: {result['in_interval']:.0%}")


if __name__ == "__main__":
    typer.run(main)
