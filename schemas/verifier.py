"""How an outcome is decided if the answer is not a value: by tests, by a program, by a user's own rule.

A verifier is data: it travels with its problem, is stored with it, and is only ever executed inside the isolation
(``pipelines/sandbox``). To add one, write its record and add it to ``AnyVerifier``.
"""

import json
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from stepforge.schemas.record import Record


class StoredAsJson:
    """Marks a field whose column holds JSON text: a union of records has no columnar form."""


OverLimit = Literal["undetermined", "wrong"]


class UnitTests(Record):
    """Tests that call a function; the solution is a program that defines it."""

    kind: Literal["tests"] = "tests"
    tests: str
    """Python; each statement is run in order, and the first that fails decides."""
    entry_point: str = Field(pattern=r"^[A-Za-z_]\w*$")
    """Name of the function that the program defines."""
    setup: str = ""
    """Python prepended to the program and the tests: imports, or the prompt that the program completes."""
    seconds: float = Field(default=5.0, gt=0)
    """Time limit of all tests together."""
    over_limit: OverLimit = "undetermined"
    """Outcome of a program that exceeds its time or memory."""


class PythonVerifier(Record):
    """The user's own Python function: ``function(question, solution)``; with a parameter ``kept`` it also gets the
    problem's kept columns.

    It returns True (correct), False (wrong) or None (undetermined), or one of these words. An exception or a timeout is
    undetermined.
    """

    kind: Literal["python"] = "python"
    function: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """Import path, ``module:function``."""
    seconds: float = Field(default=10.0, gt=0)


class CommandVerifier(Record):
    """The user's own command.

    It reads ``{"question": ..., "solution": ..., "kept": {...}}`` on standard input. The last line that it writes is
    ``correct``, ``wrong`` or ``undetermined``; anything else, an exit code other than 0, or a timeout is undetermined.
    """

    kind: Literal["command"] = "command"
    command: tuple[str, ...] = Field(min_length=1)
    """Program and arguments; ``{python}`` is this Python."""
    reads: tuple[str, ...] = ()
    """Files and folders that it may read, besides the system's programs and libraries."""
    seconds: float = Field(default=10.0, gt=0)


OwnVerifier = Annotated[PythonVerifier | CommandVerifier, Field(discriminator="kind")]
"""What a run file may name for a problem set."""


AnyVerifier = Annotated[
    UnitTests | PythonVerifier | CommandVerifier,
    Field(discriminator="kind"),
    BeforeValidator(lambda value: json.loads(value) if isinstance(value, str) else value),
    StoredAsJson(),
]
