"""The command line. Imports are inside the commands, so that ``stepforge --help`` answers at once.

Exit code 0: done. 1: a run failed; finished work is kept. 2: bad input; nothing was started. 130 and 143: stopped by
Ctrl-C or SIGTERM; finished work is kept.
"""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepforge.pipelines.commands.exit_codes import one_line_errors
from stepforge.pipelines.terminal.output import say, say_traceback

if TYPE_CHECKING:
    from stepforge.pipelines.reports.records import Report
    from stepforge.pipelines.settings.run_file import RunFile
    from stepforge.pipelines.storage.store import AnyPath

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A factory for process-supervision data: which step of a chain of thought is wrong, measured.",
)

Folder = Annotated[str, typer.Argument(help="A run folder, or its address (s3://…).", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from stepforge.pipelines.terminal.output import say

        say(version("stepforge"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    run_file: Annotated[Path, typer.Argument(help="The run file (TOML).", metavar="RUN.toml")],
    out: Annotated[
        str | None, typer.Option(help="Run folder or address (s3://…); by default runs/<name of the run file>.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. label.0.k=16.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many problems of every source.")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="This many runs, with the command under [train] between them.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress lines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run all stages; only what is missing is done."""
    with one_line_errors(resumes=True):
        from stepforge.pipelines.run.driver import run_all
        from stepforge.pipelines.run.preflight import preflight
        from stepforge.pipelines.settings.run_file import limited
        from stepforge.pipelines.settings.run_settings import read_run_file
        from stepforge.pipelines.storage.store import place_of

        settings = limited(read_run_file(run_file, overrides or []), limit)
        preflight(settings)
        folder = place_of(out or Path("runs") / run_file.stem)

        def run_one(one: "RunFile", place: "AnyPath") -> "Report":
            with redirect_stdout(sys.stderr):  # what workers print; standard output is for the report alone
                return run_all(one, place, quiet=quiet, as_json=as_json)

        if rounds is None:
            _show_report(run_one(settings, folder), folder, as_json=as_json)
        else:
            from stepforge.pipelines.commands.rounds import rounds_text, run_rounds

            done = run_rounds(settings, folder, rounds, run_one)
            say(json.dumps([r.model_dump() for r in done], indent=1) if as_json else rounds_text(done))


@app.command()
def report(
    folder: Folder,
    as_json: AsJson = False,
    as_html: Annotated[bool, typer.Option("--html", help="Also write report.html beside report.json.")] = False,
) -> None:
    """Print the figures of a run, measured again from its committed shards."""
    with one_line_errors():
        from stepforge.pipelines.progress.status import fresh_report
        from stepforge.pipelines.reports.page import write_page
        from stepforge.pipelines.storage.store import place_of

        place = place_of(folder)
        figures = fresh_report(place)
        if as_html:
            say(f"wrote {write_page(place, figures)}", err=True)
        _show_report(figures, place, as_json=as_json)


def _show_report(figures: "Report", folder: "AnyPath", *, as_json: bool) -> None:
    from stepforge.pipelines.reports.text import report_text

    say(json.dumps(figures.model_dump(mode="json"), indent=1) if as_json else report_text(figures, folder))


@app.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Show the progress of a run, also from another shell while it runs."""
    with one_line_errors():
        from stepforge.pipelines.progress.status import run_status, status_text
        from stepforge.pipelines.storage.store import place_of

        state = run_status(place_of(folder))
        say(json.dumps(state, indent=1) if as_json else status_text(state))


@app.command()
def estimate(
    run_file: Annotated[Path, typer.Argument(help="The run file (TOML).", metavar="RUN.toml")],
    problems: Annotated[
        int, typer.Option("--problems-in-pilot", min=2, help="Problems to solve and label as a pilot.")
    ] = 36,
    price: Annotated[
        float | None, typer.Option("--price-per-engine-hour", min=0, help="Price of one engine for an hour.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. label.0.k=16.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many problems of every source.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast rollouts, tokens, engine-hours and money of a run from a small pilot; nothing is kept."""
    with one_line_errors():
        from stepforge.pipelines.estimate.estimate import estimate as forecast
        from stepforge.pipelines.estimate.estimate_text import estimate_text
        from stepforge.pipelines.run.preflight import preflight
        from stepforge.pipelines.settings.run_file import limited
        from stepforge.pipelines.settings.run_settings import read_run_file

        settings = limited(read_run_file(run_file, overrides or []), limit)
        preflight(settings)
        with redirect_stdout(sys.stderr):
            found = forecast(settings, problems=problems, price=price)
        say(found.model_dump_json(indent=1) if as_json else estimate_text(found))


@app.command()
def show(
    folder: Folder,
    problem_id: Annotated[str | None, typer.Argument(metavar="[PROBLEM_ID]")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="Those with a step found wrong.")] = False,
    abstained: Annotated[bool, typer.Option("--abstained", help="Those with a solution without a verdict.")] = False,
    disagree: Annotated[
        bool, typer.Option("--disagree", help="Those on which labelers, people or the truth differ.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed or were rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the problems of a run, or show one with its steps, labels and truth."""
    with one_line_errors():
        from stepforge.pipelines.commands.list_problems import Filters, list_problems, problems_text
        from stepforge.pipelines.commands.show import find_problem, problem_json, problem_text
        from stepforge.pipelines.storage.store import place_of

        place = place_of(folder)
        if problem_id is not None:
            found = find_problem(place, problem_id)
            say(json.dumps(problem_json(found), indent=1) if as_json else problem_text(found))
            return
        rows = list_problems(place, Filters(wrong, abstained, disagree, failed))
        say(json.dumps([row.model_dump() for row in rows], indent=1) if as_json else problems_text(rows, place))


@app.command()
def grade(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet, plain, .gz or .zst.", metavar="FILE")],
    answer: Annotated[str, typer.Option(help="Column of the reference answer or worked reference.")],
    response: Annotated[str, typer.Option(help="Column of the response; a list is joined with blank lines.")],
    out: Annotated[Path | None, typer.Option(help="Where the JSONL goes; by default standard output.")] = None,
    audit: Annotated[
        str | None,
        typer.Option(help="Compare with this column of other verdicts (true/false, 1/0, correct/wrong), by kind."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add `verdict` (correct, wrong, undetermined) and `extracted` to each row, as JSONL.

    With --audit, the verdicts are compared with another grader's; rows are then written to --out only.
    """
    with one_line_errors():
        from stepforge.pipelines.commands.grade import grade_file

        summary = grade_file(file, answer, response, out, audit=audit)
        text = summary.model_dump_json(indent=1) if as_json else str(summary)
        say(text, err=audit is None)


@app.command()
def settings(kind: Annotated[str | None, typer.Argument(help="A kind of part, such as omega_prm.")] = None) -> None:
    """List every setting of a run file, or of one kind of part: type, default, meaning."""
    with one_line_errors():
        from stepforge.pipelines.commands.settings import settings_text

        say(settings_text(kind))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what is installed, what works on this machine, and how to get what is missing."""
    with one_line_errors():
        from stepforge.pipelines.commands.doctor import doctor_text, examine

        findings = examine()
        say(json.dumps(findings, indent=1) if as_json else doctor_text(findings))


@app.command()
def relabel(
    folder: Folder,
    rule: Annotated[
        str, typer.Option(help="hard, soft, advantage, relative_progress, scan, posterior, agreement or fusion.")
    ],
    as_json: AsJson = False,
) -> None:
    """Label a run by another rule, from the kept evidence; nothing is sampled."""
    with one_line_errors():
        from stepforge.pipelines.commands.relabel import relabel as apply_rule
        from stepforge.pipelines.storage.store import place_of

        target, figures = apply_rule(place_of(folder), rule)
        _show_report(figures, target, as_json=as_json)


@app.command()
def publish(
    folder: Folder,
    repo: Annotated[str, typer.Option(help="The data set repository on the Hub.", metavar="ORG/NAME")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Make it public; by default it is private.")] = False,
    tag: Annotated[str | None, typer.Option(help="Name of the version; by default v1, v2, ...")] = None,
    accept_unknown_licence: Annotated[
        bool, typer.Option("--accept-unknown-licence", help="Make data from sources without a license public.")
    ] = False,
) -> None:
    """Publish the data sets of a finished run to the Hub at HF_ENDPOINT, with the token of HF_TOKEN."""
    with one_line_errors():
        from stepforge.pipelines.publishing.publication import Talk
        from stepforge.pipelines.publishing.publication import publish as carry
        from stepforge.pipelines.publishing.request import PublishRequest
        from stepforge.pipelines.storage.store import place_of

        request = PublishRequest(repo, public, tag, accept_unknown_licence)
        talk = Talk(say, lambda line: say(line, err=True), _agreement(yes=yes))
        carry(place_of(folder), request, talk, dry_run=dry_run)


def _agreement(*, yes: bool) -> Callable[[], None]:
    """Ask before publishing; raises unless the answer is yes."""

    def ask() -> None:
        from stepforge.schemas.errors import BadInput

        if yes:
            return
        if not sys.stdin.isatty():
            raise BadInput("nothing was published: there is no terminal to ask on; give --yes to carry out the plan")
        if not typer.confirm("publish this?"):
            raise BadInput("nothing was published")

    return ask


@app.command()
def export(
    folder: Folder,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="An export of the run, or a kind to add to it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write data sets in other formats from the kept evidence; nothing is sampled."""
    with one_line_errors():
        from stepforge.pipelines.commands.export import export_again
        from stepforge.pipelines.storage.store import place_of

        place = place_of(folder)
        _show_report(export_again(place, only or []), place, as_json=as_json)


@app.command()
def score(
    model: Annotated[
        str,
        typer.Argument(
            help="`embedded`, a model's folder or hub name, a TOML of settings, a labeler of the run, or a JSONL of "
            "recorded scores.",
            metavar="MODEL",
        ),
    ],
    on: Annotated[str, typer.Option(help="`processbench` (from the Hub), a run folder, or a JSONL file.")],
    shape: Annotated[str | None, typer.Option(help="How the model is read, where its files do not tell.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Instead of the published rule.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many solutions of every subset.")] = None,
    probes: Annotated[bool, typer.Option("--probes/--no-probes", help="Probe for reward hacking.")] = True,
    scores_out: Annotated[Path | None, typer.Option(help="Where the scores go, as JSONL.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a reward model, a judge or a labeler against people's or the oracle's first wrong steps."""
    with one_line_errors():
        from stepforge.pipelines.scoring.score import ScoreRequest
        from stepforge.pipelines.scoring.score import score as measure
        from stepforge.pipelines.scoring.score_text import scoring_text

        request = ScoreRequest(
            model=model,
            on=on,
            shape=shape,
            threshold=threshold,
            limit=limit,
            probes=probes,
            scores_out=None if scores_out is None else str(scores_out),
        )
        with redirect_stdout(sys.stderr):
            found = measure(request, lambda line: say(line, err=True))
        say(found.model_dump_json(indent=1) if as_json else scoring_text(found))


@app.command()
def verify(
    serve: Annotated[bool, typer.Option("--serve", help="Answer over HTTP on this machine until interrupted.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on loopback; 0: any that is free.")] = 0,
    verifier: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Your own, called with (response, reference).")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A reward model for step credit: `embedded`, a model, or TOML.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest time for a request.")] = 10.0,
    items: Annotated[int, typer.Option(min=1, help="Most responses in a request.")] = 1024,
) -> None:
    """Serve verdicts (correct, wrong, undetermined) and step credit to reinforcement learning."""
    with one_line_errors():
        from stepforge.pipelines.commands.verify import VerifyService, serve_verifier
        from stepforge.pipelines.verification.verdicts import VerifierLimits
        from stepforge.schemas.errors import BadInput

        if not serve:
            raise BadInput("give --serve; to grade a file: stepforge grade FILE")
        limits = VerifierLimits(items=items, seconds=seconds)
        serve_verifier(VerifyService(port=port, verifier=verifier, scorer=scorer, limits=limits), say)


bench_app = typer.Typer(no_args_is_help=True, help="Measure parts against known truth.")
app.add_typer(bench_app, name="bench")


@bench_app.command("labelers")
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


def main() -> None:
    from stepforge.pipelines.run.garbage_collection import collect_seldom

    sys.path[:] = [entry for entry in sys.path if entry]  # workers must not import from the shell's current folder
    collect_seldom()
    sys.excepthook = say_traceback
    app()


if __name__ == "__main__":
    main()
