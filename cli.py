"""The command line. Imports are inside the commands to keep ``stepforge --help`` fast.

Exit code 0: done. 1: a run failed; finished work is kept. 2: bad input; nothing was started. 130 and 143: stopped by
Ctrl-C or SIGTERM; finished work is kept.
"""

import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from stepforge.pipelines.command_line import looking, making, measuring, running, serving
from stepforge.pipelines.command_line.options import one_line_errors
from stepforge.pipelines.terminal.output import say, say_traceback

RESUMING = ("run", "record", "bench")
"""Commands that resume where they were stopped."""
_UsageError: Any = typer.BadParameter.__mro__[1]  # of Typer's own copy of click, or the installed one


class _Commands(TyperGroup):
    """Reports what the user can fix, a wrong command line too, as one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        with one_line_errors(lambda: ctx.invoked_subcommand in RESUMING):
            return super().invoke(ctx)

    def main(self, *given: Any, **more: Any) -> NoReturn:
        try:
            sys.exit(super().main(*given, **{**more, "standalone_mode": False}))
        except _UsageError as error:
            message = " ".join(error.format_message().split()).rstrip(".")
            place = getattr(getattr(error, "ctx", None), "command_path", "stepforge")
            if message:  # nothing after `stepforge` alone, which has printed the help
                say(f"{place}: {message[0].lower()}{message[1:]}; see `{place} --help`", err=True)
            sys.exit(2)
        except typer.Abort:
            say("stepforge: stopped", err=True)
            sys.exit(130)


app = typer.Typer(
    cls=_Commands,
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
