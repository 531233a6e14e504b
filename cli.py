"""The command line. Imports are inside the commands to keep ``stepforge --help`` fast.

Exit code 0: done. 1: a run failed; finished work is kept. 2: bad input; nothing was started. 130 and 143: stopped by
Ctrl-C or SIGTERM; finished work is kept.
"""

import sys
from typing import Annotated

import typer

from stepforge.pipelines.command_line import looking, making, measuring, running, serving
from stepforge.pipelines.terminal.output import say_traceback

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A factory for process-supervision data: which step of a chain of thought is wrong, measured.",
)
COMMANDS = (
    running.run,
    running.record,
    looking.report,
    looking.compare,
    running.status,
    running.estimate,
    looking.show,
    serving.view,
    serving.review,
    making.grade,
    looking.settings,
    looking.doctor,
    making.relabel,
    making.publish,
    making.export,
    measuring.score,
    serving.verify,
)
"""In the order in which ``--help`` lists them."""
for command in COMMANDS:
    app.command()(command)
bench = typer.Typer(no_args_is_help=True, help="Measure parts against known truth.")
bench.command("labelers")(measuring.bench_labelers)
app.add_typer(bench, name="bench")


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


def main() -> None:
    from stepforge.pipelines.run.garbage_collection import collect_seldom

    sys.path[:] = [entry for entry in sys.path if entry]  # workers must not import from the shell's current folder
    collect_seldom()
    sys.excepthook = say_traceback
    app()


if __name__ == "__main__":
    main()
