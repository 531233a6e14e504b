"""What several commands share: arguments, how a report is printed, and errors as one line and an exit code."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepforge.pipelines.storage.store import AnyPath, io_failure
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from stepforge.pipelines.reports.records import Report

Folder = Annotated[str, typer.Argument(help="A run folder, or its address (s3://…).", metavar="DIR")]
RunFilePath = Annotated[Path, typer.Argument(help="The run file (TOML).", metavar="RUN.toml")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. label.0.k=16.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many problems of every source.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@contextmanager
def one_line_errors(resumes: Callable[[], bool]) -> Iterator[None]:
    """Turn errors that the user can fix into one line and an exit code; ``resumes``: whether the same command resumes
    where this one was stopped."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (BadInput, RunFailed, OSError) as error:
        told = io_failure(error) if isinstance(error, OSError) else error
        say(f"stepforge: {' '.join(str(told).split())}", err=True)
        raise typer.Exit(2 if isinstance(error, BadInput) else 1) from None
    except KeyboardInterrupt as stop:
        command = shlex.join(["stepforge", *sys.argv[1:]])
        say(f"stepforge: stopped{f'; finished work is kept. To resume: {command}' if resumes() else ''}", err=True)
        raise typer.Exit(getattr(stop, "exit_code", 130)) from None


def show_report(figures: "Report", folder: AnyPath, *, as_json: bool) -> None:
    from stepforge.pipelines.reports.text import report_text

    say(json.dumps(figures.model_dump(mode="json"), indent=1) if as_json else report_text(figures, folder))


def warn_of_missing_shards(figures: "Report", run: AnyPath) -> None:
    """Say so if figures and data sets are of a part of the run; ``run`` is the folder that has the plan."""
    from stepforge.pipelines.run_folder.plan import read_plan

    planned = len(read_plan(run))
    finished = figures.stages["curate"].shards if "curate" in figures.stages else 0
    if finished < planned:
        part = f"{finished} of {planned} shards are finished; the figures and the data sets have no others"
        say(f"stepforge: warning: {part}. The same `stepforge run` command makes the rest", err=True)
