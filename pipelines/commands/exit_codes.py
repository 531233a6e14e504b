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
    except BrokenPipeError:
        raise
    except (BadInput, RunFailed, OSError) as error:
        told = io_failure(error) if isinstance(error, OSError) else error
        say(f"stepforge: {' '.join(str(told).split())}", err=True)
        raise typer.Exit(2 if isinstance(error, BadInput) else 1) from None
    except KeyboardInterrupt as stop:
        command = shlex.join(["stepforge", *sys.argv[1:]])
        say(f"stepforge: stopped{f'; finished work is kept. To resume: {command}' if resumes else ''}", err=True)
        raise typer.Exit(getattr(stop, "exit_code", 130)) from None
