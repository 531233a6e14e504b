"""Problems that a user already has: a row of a table becomes a `Problem`, or one line that says why it cannot.

Nothing is guessed about a row: a value that is there and cannot be used is a `BadInput` with its place (file, row,
field) and a remedy; a value that is not there (null, or an empty text) is unknown. Reading files is for pipelines.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from stepforge.generators.cells import Cells
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import AnswerKind, Problem
from stepforge.schemas.record import Record

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".csv", ".parquet")
"""What a problem file's name ends in, and so its format."""
OTHER_NAMES = {
    "question": ("problem", "prompt", "query", "input", "instruction"),
    "answer": ("final_answer", "target", "solution"),
}
"""What a column is often called, for the question back when it is not there."""


class ProblemSet(Record):
    """A file, a folder of files of one format, or a Hub dataset, and which of its columns means what."""

    kind: Literal["problem_set"] = "problem_set"
    path: str | None = None
    """A .jsonl, .jsonl.gz, .json, .csv or .parquet file, or a folder of such files, all of one format."""
    hub: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
    """Name of a dataset on the Hub."""
    config: str | None = None
    split: str | None = None
    """Split of the Hub dataset; may be left out where there is only one."""
    revision: str | None = None
    """Commit, branch or tag of the Hub dataset."""
    name: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f]*$")
    """What the problems' source and ids are called; by default from the path or the Hub name."""
    licence: str | None = None
    """Licence of the problems, for the dataset card."""

    question: str = "question"
    """Column of the question."""
    answer: str | None = None
    """Column of the reference answer: bare, or a worked solution in GSM8K's or MATH's style."""
    id: str | None = None
    """Column of a text or whole number that no other row has; by default a hash of the question."""
    solution: str | None = None
    """Column of an existing solution's text."""
    steps: str | None = None
    """Column of an existing solution as a list of its steps."""
    domain: str | None = None
    difficulty: str | None = None
    """Column of a whole number, also written ``Level 3``."""
    group: str | None = None
    """Column of what train and test splits must not share; by default each question is its own group."""

    answer_kind: AnswerKind = "math"
    limit: int | None = Field(default=None, ge=1)
    """Read only the first so many rows."""
    on_bad_row: Literal["stop", "reject"] = "stop"
    """Whether a bad or repeated row is an error before the run, or is kept with the reason and left out."""

    @model_validator(mode="after")
    def _one_place(self) -> "ProblemSet":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is None and (self.config or self.split or self.revision):
            raise ValueError("config, split and revision belong to hub; this set has a path")
        if self.solution and self.steps:
            raise ValueError("name solution (a text) or steps (a list of texts), not both")
        return self

    @property
    def label(self) -> str:
        """The source of its problems and the beginning of their ids; two sets of one run need different ones."""
        if self.name:
            return self.name
        if self.path is None:
            return "/".join(part for part in (self.hub, self.config, self.split) if part)
        name = PurePath(self.path).name
        suffix = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len, default="")
        return name[: len(name) - len(suffix)].replace(":", "-") or "problems"

    @property
    def columns(self) -> dict[str, str]:
        """Field to column, for the fields that have one."""
        fields = ("question", "answer", "id", "solution", "steps", "domain", "difficulty", "group")
        named = {field: getattr(self, field) for field in fields}
        return {field: column for field, column in named.items() if column is not None}


class BroughtSolution(Record):
    """A solution that came with its problem: already cut into steps, or a text still to cut."""

    steps: tuple[str, ...] = ()
    text: str = ""

    def cut(self, segment: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
        """Return its steps so that joined with nothing between they are the solution's text.

        Steps that came as a list get a blank line after each but the last, unless one ends in a line break already.
        """
        if not self.steps:
            return segment(self.text)
        *first, last = self.steps
        return (*(step if step.endswith("\n") else f"{step}\n\n" for step in first), last)


class SourceItem(Record):
    """A problem and the solutions that came with it."""

    problem: Problem
    solutions: tuple[BroughtSolution, ...] = ()


def row_to_problem(part: ProblemSet, row: Mapping[str, object], number: int, source: str) -> SourceItem:
    """Return the problem of a row; ``number`` (from 1) and ``source`` (the file) are for messages.

    The id is ``label:value`` of the id column, or ``label:hash`` of the question, which reordering does not change.

    Raises:
        BadInput: a value cannot be used.
    """
    cells = Cells(part.columns, row, f"{source}, row {number}")
    question = cells.required_text("question")
    own_id = cells.identifier() if part.id else hash_of(question)
    problem = Problem(
        id=f"{part.label}:{own_id}",
        source=part.label,
        domain=cells.label("domain") or part.label,
        question=question,
        answer=cells.answer(),
        answer_kind=part.answer_kind,
        difficulty=cells.difficulty(),
        group=cells.label("group") or f"question-{hash_of(_normal(question))}",
    )
    return SourceItem(problem=problem, solutions=_solutions(cells))


def hash_of(text: str) -> str:
    """Return 16 hexadecimal digits that name a text."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


def check_columns(columns: Mapping[str, str], there: Iterable[str], source: str) -> None:
    """Check that every column (field to column) is there.

    Raises:
        BadInput: one is not; names the file, the columns that are there and the likeliest one.
    """
    present = list(dict.fromkeys(there))
    for field, column in columns.items():
        if column not in present:
            listed = ", ".join(present[:30]) or "none"
            hint = _hint(field, column, present)
            raise BadInput(f"{source}: no column {column!r} for {field}; there are: {listed}; {hint}")


def _hint(field: str, column: str, columns: list[str]) -> str:
    alike = get_close_matches(column, columns, n=1, cutoff=0.75) or [
        c for c in OTHER_NAMES.get(field, ()) if c in columns
    ]
    return f'did you mean {field} = "{alike[0]}"?' if alike else f"set {field} to the right one"


def _solutions(cells: Cells) -> tuple[BroughtSolution, ...]:
    if steps := cells.steps():
        return (BroughtSolution(steps=steps),)
    text = cells.text("solution")
    return (BroughtSolution(text=text),) if text else ()


def _normal(question: str) -> str:
    # Copies that differ in case or white space only must not be split between train and test.
    return re.sub(r"\s+", " ", question).strip().casefold()
