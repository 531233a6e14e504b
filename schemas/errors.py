"""Errors that a person can mend.

``BadInput``: what was given cannot be used; nothing was started (exit code 2).
``RunFailed``: a run ended early; what is done is kept (exit code 1).
"""


class BadInput(ValueError):
    """One line: what is wrong, where (field, file, row), what to do."""


class RunFailed(RuntimeError):
    """One line: what ended the run, and how to go on."""
