"""The viewer and its review queue, and the verifier: services over HTTP on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from stepforge.pipelines.command_line.options import AsJson, Folder
from stepforge.pipelines.storage.store import place_of
from stepforge.pipelines.terminal.output import say


def verify(
    serve: Annotated[bool, typer.Option("--serve", help="Answer over HTTP on this machine until interrupted.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on loopback; 0: any that is free.")] = 0,
    verifier: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Your own, called with (response, reference).")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A reward model for step credit: `embedded`, a model, or TOML.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time limit of a request, in seconds.")] = 10.0,
    items: Annotated[int, typer.Option(min=1, help="Maximum number of responses in a request.")] = 1024,
) -> None:
    """Serve verdicts (correct, wrong, undetermined) and step credit to reinforcement learning."""
    from stepforge.pipelines.verification.service import serve_verifier
    from stepforge.pipelines.verification.verdicts import VerifierLimits
    from stepforge.schemas.errors import BadInput

    if not serve:
        raise BadInput("pass --serve; to grade a file: stepforge grade FILE")
    limits = VerifierLimits(items=items, seconds=seconds)
    serve_verifier(say, port=port, verifier=verifier, scorer=scorer, limits=limits)


def view(
    folder: Folder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    reviewer: Annotated[str | None, typer.Option(help="Your name in findings; by default the user name.")] = None,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Review and settle the steps on which reviewers disagree.")
    ] = False,
    hide_condensed: Annotated[
        bool, typer.Option("--hide-condensed", help="Show the model's text about a step only on request (key m).")
    ] = False,
) -> None:
    """View a run in the browser: search it, open its trees, review its doubtful steps."""
    from stepforge.pipelines.viewer.app import view as serve_view

    serve_view(
        place_of(folder),
        port=port,
        browser=not no_browser,
        reviewer=reviewer,
        adjudicates=adjudicate,
        condensed=not hide_condensed,
        say=say,
    )


def review(
    folder: Folder,
    top: Annotated[int, typer.Option(min=1, help="Doubtful solutions in the queue.")] = 100,
    again: Annotated[bool, typer.Option("--again", help="Build a new queue in place of the existing one.")] = False,
    read: Annotated[
        Path | None, typer.Option("--import", help="Add the findings of this file.", metavar="FILE")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--export", help="Write the queue for another tool.", metavar="FILE")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="Of the file: label_studio, argilla, prm800k or usage.")
    ] = None,
    condense: Annotated[
        bool, typer.Option("--condense", help="Have the run's engine summarize the queued steps for the reviewer.")
    ] = False,
    license_name: Annotated[str, typer.Option("--license", help="License of imported findings.")] = "",
    as_json: AsJson = False,
) -> None:
    """Queue the labels most worth a person's time, and show what people have found so far."""
    from stepforge.pipelines.review.review import review as queue_up

    figures, text = queue_up(
        place_of(folder),
        top,
        read=read,
        write=write,
        form=form,
        license_name=license_name,
        again=again,
        condensing=condense,
    )
    say(figures.model_dump_json(indent=1) if as_json else text)
