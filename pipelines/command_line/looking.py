"""Read-only commands: on a run, the settings, the machine."""

import json
from typing import Annotated

import typer

from stepforge.pipelines.command_line.options import AsJson, Folder, show_report, warn_of_missing_shards
from stepforge.pipelines.storage.store import place_of
from stepforge.pipelines.terminal.output import say


def report(
    folder: Folder,
    as_json: AsJson = False,
    as_html: Annotated[bool, typer.Option("--html", help="Also write report.html next to report.json.")] = False,
) -> None:
    """Print the figures of a run, recomputed from its committed shards."""
    from stepforge.pipelines.progress.status import fresh_report, open_run

    place = place_of(folder)
    figures = fresh_report(place)
    if as_html:
        from stepforge.pipelines.report_page.page import write_page

        say(f"wrote {write_page(*open_run(place), figures)}", err=True)
    show_report(figures, place, as_json=as_json)
    warn_of_missing_shards(figures, place)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A run folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The run to compare with.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs: differences on the problems that both have, with intervals."""
    from stepforge.pipelines.compare.compare import compare as compared
    from stepforge.pipelines.compare.compare import comparison_text

    found = compared(place_of(first), place_of(second))
    say(json.dumps(found.model_dump(mode="json"), indent=1) if as_json else comparison_text(found))


def show(
    folder: Folder,
    problem_id: Annotated[str | None, typer.Argument(metavar="PROBLEM_ID")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="Those with a step found wrong.")] = False,
    abstained: Annotated[bool, typer.Option("--abstained", help="Those with a solution without a verdict.")] = False,
    disagree: Annotated[
        bool, typer.Option("--disagree", help="Those on which labelers, people or the truth differ.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed or were rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the problems of a run, or show one with its steps, labels and truth."""
    from stepforge.pipelines.commands.list_problems import list_problems, problems_text
    from stepforge.pipelines.commands.show import find_problem, problem_json, problem_text

    place = place_of(folder)
    if problem_id is not None:
        found = find_problem(place, problem_id)
        say(json.dumps(problem_json(found, problem_id), indent=1) if as_json else problem_text(found))
        return
    asked = {"wrong": wrong, "abstained": abstained, "disagree": disagree, "failed": failed}
    rows = list_problems(place, [name for name, wanted in asked.items() if wanted])
    say(json.dumps([row.model_dump() for row in rows], indent=1) if as_json else problems_text(rows, place))


def settings(kind: Annotated[str | None, typer.Argument(help="A kind of part, such as omega_prm.")] = None) -> None:
    """List every setting of a run file, or of one kind of part: type, default, meaning."""
    from stepforge.pipelines.commands.settings import settings_text

    say(settings_text(kind))


def doctor(as_json: AsJson = False) -> None:
    """Show what is installed, what works on this machine, and how to get what is missing."""
    from stepforge.pipelines.commands.doctor import doctor_text, examine

    findings = examine()
    say(json.dumps([found._asdict() for found in findings], indent=1) if as_json else doctor_text(findings))
