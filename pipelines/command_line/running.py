"""Commands that sample: run and estimate; and status."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepforge.pipelines.command_line.options import AsJson, Folder, Limit, Overrides, RunFilePath, show_report
from stepforge.pipelines.storage.store import AnyPath, place_of
from stepforge.pipelines.terminal.output import say

if TYPE_CHECKING:
    from stepforge.pipelines.reports.records import Report
    from stepforge.pipelines.settings.run_file import RunFile


def _checked(run_file: Path, overrides: list[str] | None, limit: int | None) -> "RunFile":
    """Read a run file, and check everything that can be checked before anything starts."""
    from stepforge.pipelines.run.preflight import preflight
    from stepforge.pipelines.settings.run_file import limited
    from stepforge.pipelines.settings.run_settings import read_run_file

    settings = limited(read_run_file(run_file, overrides or []), limit)
    preflight(settings)
    return settings


def run(
    run_file: RunFilePath,
    out: Annotated[
        str | None, typer.Option(help="Run folder or address (s3://…); by default runs/<name of the run file>.")
    ] = None,
    overrides: Overrides = None,
    limit: Limit = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="This many runs, with the command under `train` between them.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress lines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run all stages; only what is missing is done."""
    from stepforge.pipelines.run.driver import run_all

    settings = _checked(run_file, overrides, limit)
    folder = place_of(out or Path("runs") / run_file.stem)

    def run_one(one: "RunFile", place: AnyPath) -> "Report":
        with redirect_stdout(sys.stderr):  # for the workers' output; standard output is only for the report
            return run_all(one, place, quiet=quiet, as_json=as_json)

    if rounds is None:
        show_report(run_one(settings, folder), folder, as_json=as_json)
    else:
        from stepforge.pipelines.commands.rounds import rounds_text, run_rounds

        done = run_rounds(settings, folder, rounds, run_one)
        say(json.dumps([r.model_dump() for r in done], indent=1) if as_json else rounds_text(done))


def estimate(
    run_file: RunFilePath,
    problems: Annotated[
        int, typer.Option("--problems-in-pilot", min=2, help="Problems to solve and label as a pilot.")
    ] = 36,
    price: Annotated[
        float | None, typer.Option("--price-per-engine-hour", min=0, help="Price of one engine for an hour.")
    ] = None,
    overrides: Overrides = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Forecast rollouts, tokens, engine-hours and money of a run from a small pilot; leaves no files."""
    from stepforge.pipelines.estimate.estimate import estimate as forecast
    from stepforge.pipelines.estimate.estimate import estimate_text

    settings = _checked(run_file, overrides, limit)
    with redirect_stdout(sys.stderr):
        found = forecast(settings, problems=problems, price=price)
    say(found.model_dump_json(indent=1) if as_json else estimate_text(found))


def status(folder: Folder, as_json: AsJson = False) -> None:
    """Show the progress of a run, also from another shell while it runs."""
    from stepforge.pipelines.progress.status import run_status, status_text

    state = run_status(place_of(folder))
    say(json.dumps(state.model_dump(mode="json"), indent=1) if as_json else status_text(state))


def record(
    run_file: RunFilePath,
    out: Annotated[str | None, typer.Option(help="Run folder or address; by default runs/<name>_recording.")] = None,
    completions: Annotated[int, typer.Option(min=1, help="Per prefix of every wrong solution.")] = 24,
    root: Annotated[int, typer.Option(min=0, help="Per question, its own solutions included.")] = 32,
    overrides: Overrides = None,
    limit: Limit = None,
) -> None:
    """Draw what `bench labelers --recording` replays; only what is missing is done."""
    from stepforge.pipelines.run.driver import run_all
    from stepforge.pipelines.settings.run_file import recording_of

    settings = recording_of(_checked(run_file, overrides, limit), completions, root)
    folder = place_of(out or Path("runs") / f"{run_file.stem}_recording")
    with redirect_stdout(sys.stderr):
        made = run_all(settings, folder)
    show_report(made, folder, as_json=False)
