"""Commands that measure parts against known truth."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from stepforge.pipelines.command_line.options import AsJson
from stepforge.pipelines.terminal.output import say


def bench_labelers(
    smoke: Annotated[bool, typer.Option("--smoke", help="A small bench without a model, in half a minute.")] = False,
    config: Annotated[Path | None, typer.Option(help="The bench's settings (TOML).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the recordings; kept, so a second run is short.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder for the figures; by default that of the recordings.")
    ] = None,
    recording: Annotated[
        list[Path] | None,
        typer.Option(
            help="A finished run, labeled by math_shepherd first, or a shard of one, to replay instead; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare all labelers on the same recorded completions, cross-validated over families."""
    from importlib.resources import files

    from stepforge.pipelines.bench.bench import bench_labelers as compare

    name = "labelers_smoke" if smoke else "labelers"
    settings = config or Path(str(files("stepforge.pipelines.bench"))) / f"{name}.toml"
    folder = out or Path("runs") / f"bench_{name}"
    target = (results or folder) / f"{name}.json"
    result, text = compare(settings, folder, target, say=lambda line: say(line, err=True), recordings=recording or ())
    say(json.dumps(result) if as_json else text)


def score(
    model: Annotated[
        str,
        typer.Argument(
            help="`embedded`, a model's folder or hub name, a TOML of settings, a labeler of the run, or a JSONL of "
            "recorded scores.",
            metavar="MODEL",
        ),
    ],
    on: Annotated[str, typer.Option(help="`processbench` or `prmbench` (from the Hub), a run folder, a JSONL file.")],
    shape: Annotated[str | None, typer.Option(help="How to read the model, if its files do not say.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Instead of the published rule.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many solutions of every subset.")] = None,
    probes: Annotated[bool, typer.Option("--probes/--no-probes", help="Probe for reward hacking.")] = True,
    scores_out: Annotated[Path | None, typer.Option(help="Output file for the scores (JSONL).")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a reward model, a judge or a labeler against people's or the oracle's first wrong steps."""
    from stepforge.pipelines.scoring.score import ScoreRequest
    from stepforge.pipelines.scoring.score import score as measure
    from stepforge.pipelines.scoring.score_text import scoring_text

    request = ScoreRequest(
        model=model, on=on, shape=shape, threshold=threshold, limit=limit, probes=probes, scores_out=scores_out
    )
    with redirect_stdout(sys.stderr):
        found = measure(request, lambda line: say(line, err=True))
    say(found.model_dump_json(indent=1) if as_json else scoring_text(found))
