"""Commands that measure parts against known truth."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepforge.pipelines.command_line.options import AsJson
from stepforge.pipelines.commands.exit_codes import one_line_errors
from stepforge.pipelines.terminal.output import say

if TYPE_CHECKING:
    pass


def bench_labelers(
    smoke: Annotated[bool, typer.Option("--smoke", help="A small bench without a model, in half a minute.")] = False,
    config: Annotated[Path | None, typer.Option(help="The bench's settings (TOML).")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the recordings go; kept, so that a second run is short.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Where the figures go; else beside the recordings.")] = None,
    recording: Annotated[
        Path | None, typer.Option(help="A finished run, labeled by math_shepherd first, to replay instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare all labelers on the same recorded completions, each family left out in turn."""
    with one_line_errors(resumes=True):
        from importlib.resources import files

        from stepforge.pipelines.bench.bench import bench_labelers as compare

        name = "labelers_smoke" if smoke else "labelers"
        settings = config or Path(str(files("stepforge.pipelines.bench"))) / f"{name}.toml"
        folder = out or Path("runs") / f"bench_{name}"
        target = (results or folder) / f"{name}.json"
        result, text = compare(settings, folder, target, say=lambda line: say(line, err=True), recording=recording)
        say(json.dumps(result) if as_json else text)
