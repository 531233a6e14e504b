"""Commands that derive new output from existing data, without sampling."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stepforge.pipelines.command_line.options import AsJson, Folder, show_report, warn_of_missing_shards
from stepforge.pipelines.storage.store import place_of
from stepforge.pipelines.terminal.output import say


def grade(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet, plain, .gz or .zst.", metavar="FILE")],
    response: Annotated[str, typer.Option(help="Column of the response; a list is joined with blank lines.")],
    answer: Annotated[str | None, typer.Option(help="Column of the reference answer or worked reference.")] = None,
    verifier: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Your own rule instead, run in isolation.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Output file (JSONL); by default standard output.")] = None,
    audit: Annotated[
        str | None,
        typer.Option(help="Compare with this column of other verdicts (true/false, 1/0, correct/wrong), by kind."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add `verdict` (correct, wrong, undetermined) and `extracted` to each row, as JSONL.

    With --audit, the verdicts are compared with another grader's; rows are then written only to --out.
    """
    from stepforge.pipelines.commands.grade import grade_file

    summary = grade_file(file, answer, response, out, audit=audit, verifier=verifier)
    text = summary.model_dump_json(indent=1) if as_json else str(summary)
    say(text, err=audit is None)


def relabel(
    folder: Folder,
    rule: Annotated[
        str, typer.Option(help="hard, soft, advantage, relative_progress, scan, posterior, agreement, fusion, people.")
    ],
    as_json: AsJson = False,
) -> None:
    """Label a run by another rule, from stored evidence, without sampling."""
    from stepforge.pipelines.commands.relabel import relabel as apply_rule

    place = place_of(folder)
    target, figures = apply_rule(place, rule)
    show_report(figures, target, as_json=as_json)
    warn_of_missing_shards(figures, place)


def export(
    folder: Folder,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="An export of the run, or a kind to add to it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write data sets in other formats from stored evidence, without sampling."""
    from stepforge.pipelines.commands.export import export_again

    place = place_of(folder)
    figures = export_again(place, only or [])
    show_report(figures, place, as_json=as_json)
    warn_of_missing_shards(figures, place)


def publish(
    folder: Folder,
    repo: Annotated[str, typer.Option(help="The data set repository on the Hub.", metavar="ORG/NAME")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repository public; by default it is private.")
    ] = False,
    accept_unknown_license: Annotated[
        bool, typer.Option("--accept-unknown-license", help="Publish data from sources without a license.")
    ] = False,
) -> None:
    """Publish the data sets of a finished run to the Hub at HF_ENDPOINT, with the token of HF_TOKEN."""
    from stepforge.pipelines.publishing.plan import PublishRequest
    from stepforge.pipelines.publishing.publication import Talk
    from stepforge.pipelines.publishing.publication import publish as carry

    request = PublishRequest(repo, public, accept_unknown_license)
    talk = Talk(say, lambda line: say(line, err=True), (lambda: None) if yes else _ask)
    carry(place_of(folder), request, talk, dry_run=dry_run)


def _ask() -> None:
    """Ask before publishing; raises unless the answer is yes."""
    from stepforge.schemas.errors import BadInput

    if not sys.stdin.isatty():
        raise BadInput("nothing was published: there is no terminal to ask on; pass --yes to carry out the plan")
    if not typer.confirm("publish this?"):
        raise BadInput("nothing was published")
