"""Errors as one line and an exit code: 1 the run failed, 2 bad input, 130 and 143 stopped."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from stepforge.pipelines.storage.store import io_failure
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import BadInput, RunFailed


@contextmanager
def one_line_errors(*, resumes: bool = False) -> Iterator[None]:
    """Turn errors that the user can fix into one line and an exit code.

    ``resumes``: the same command resumes where this one was stopped.
    """
    try:
        yield
    except BadInput as error:
        say(f"stepforge: {_one_line(error)}", err=True)
        raise typer.Exit(2) from None
    except RunFailed as error:
        say(f"stepforge: {_one_line(error)}", err=True)
        raise typer.Exit(1) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        say(f"stepforge: {_one_line(io_failure(error))}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as stop:
        command = shlex.join(["stepforge", *sys.argv[1:]])
        say(f"stepforge: stopped{f'; finished work is kept. To resume: {command}' if resumes else ''}", err=True)
        raise typer.Exit(getattr(stop, "exit_code", 130)) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
