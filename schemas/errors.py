"""Errors that the user can fix.

``BadInput``: the input cannot be used; nothing was started (exit code 2). ``RunFailed``: a run ended early; finished
work is kept (exit code 1). ``Stopped``: a signal asked to stop; finished work is kept (exit code 128 and the signal's
number).
"""


def first_line(error: BaseException) -> str:
    """Return the beginning of an error's message as one line, or its class where it has none."""
    from pydantic_core import ValidationError  # not at import: `stepforge --help` needs none of it

    message = str(error)
    if isinstance(error, ValidationError):  # whose own first line only counts
        first = error.errors()[0]
        message = ": ".join((*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")))
    return next(iter(message.strip().splitlines()), "")[:400] or type(error).__name__


class BadInput(ValueError):
    """One line: what is wrong, where (field, file, row), what to do."""


class RunFailed(RuntimeError):
    """One line: what ended the run, and how to resume."""


class Stopped(KeyboardInterrupt):
    """A signal ended the work cleanly."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
