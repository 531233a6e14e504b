"""Problems that a user already has: a row of a table becomes a `Problem`, or one line that says why it cannot.

Nothing is guessed about a row: an unusable value is a `BadInput` with its location (file, row, field) and a remedy; a
missing value (null, or an empty text) is unknown. Files are read in pipelines.
"""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from stepforge.generators.cells import Cells
from stepforge.generators.code_tests import asked_by_name, known_solution, unit_tests
from stepforge.generators.columns import as_text, asked_in, lookup
from stepforge.generators.supplied import PEOPLE, Brought, solutions_of
from stepforge.schemas.problem import AnswerKind, KeptColumn, Problem
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of
from stepforge.schemas.verifier import OverLimit, OwnVerifier

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
COMPRESSED = ("", ".gz", ".zst")
SUFFIXES = tuple(f + c for f in FORMATS for c in COMPRESSED if not (c and f == ".parquet"))
"""What a problem file's name ends in, and so its format."""


LICENSE = "license"
"""The kept column of a row's own license."""
SELECTING = ("quality", "row_license")
"""The fields whose columns say whether a row is wanted."""


class ProblemSet(Record):
    """A file, a folder of files of one format, or a Hub dataset, and which of its columns means what."""

    kind: Literal["problem_set"] = "problem_set"
    path: str | None = None
    """A .jsonl, .json, .csv (also compressed: .gz, .zst) or .parquet file, or a folder of files of one format."""
    hub: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
    """Name of a dataset on the Hub."""
    config: str | None = None
    split: str | None = None
    """Split of the Hub dataset; may be omitted if there is only one."""
    revision: str | None = None
    """Commit, branch or tag of the Hub dataset."""
    stream: bool = False
    """Read the first ``limit`` rows of the Hub dataset as they come, instead of downloading all of it."""
    name: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f]*$")
    """Name of the problems' source and prefix of their ids; by default from the path or the Hub name."""
    license: str | None = None
    """License of the problems, for the dataset card."""

    question: str = "question"
    """Column of the question: a text, or chat messages with one user turn. Nested columns are named with dots, here and
    below: ``extra_info.question``."""
    answer: str | None = None
    """Column of the reference answer: bare, or a worked solution in GSM8K's or MATH's style."""
    id: str | None = None
    """Column of a text or whole number that names a problem; by default a hash of the question. Rows that share it are
    one problem with several solutions where ``solution`` or ``steps`` is named, and repeated rows otherwise."""
    solution: str | None = None
    """Column of an existing solution: a text or chat messages with an assistant turn, or a list of either."""
    steps: str | None = None
    """Column of an existing solution as a list of its steps, or of several solutions as a list of such lists."""
    first_error: str | None = None
    """Column of the first wrong step of the solution as people judged it: 0-based, -1 if there is none."""
    ratings: str | None = None
    """Column of people's ratings of the steps: a list of -1, 0, 1 and null."""
    error_span: str | None = None
    """Column of the characters of ``solution`` that people marked as wrong: ``[start, end]`` or a list of these, empty
    if nothing is wrong."""
    tests: str | None = None
    """Column of unit tests, which decide the outcome: Python, or a list of assertions. A solution is then a program."""
    entry_point: str | None = None
    """Column of the name of the function that is tested; by default the first one that a test calls."""
    setup: str | None = None
    """Column of Python prepended to the program and the tests; HumanEval's prompt, which a program may continue."""
    reference: str | None = None
    """Column of a right solution."""
    test_seconds: float = Field(default=5.0, gt=0)
    """Time limit of one problem's tests."""
    over_limit: OverLimit = "undetermined"
    """Outcome of a program that exceeds its time or memory: a busy machine makes good ones late."""
    verifier: OwnVerifier | None = None
    """Your own rule for the outcome, instead of an answer or tests."""
    domain: str | None = None
    difficulty: str | None = None
    """Column of a whole number, also written ``Level 3``."""
    group: str | None = None
    """Column of the group that train and test splits must not share; by default each question is its own group."""

    quality: str | None = None
    """Column of a number that says how good a row is."""
    min_quality: float | None = None
    """Rows below this, and those without a number, are skipped and counted."""
    quality_is_weight: bool = False
    """Keep a row with its quality as the probability, 0 to 1; the same rows each time."""
    row_license: str | None = None
    """Column of the license of each row, kept with the problem as `license`."""
    licenses: tuple[str, ...] = ()
    """Rows with any other license, or none, are skipped and counted; case does not matter."""

    keep: tuple[str, ...] = ()
    """Other columns to keep with each problem, as text."""

    answer_kind: AnswerKind = "math"
    limit: int | None = Field(default=None, ge=1)
    """Read only this many problems, from the first."""
    on_bad_row: Literal["stop", "reject"] = "stop"
    """Whether a bad or repeated row is an error before the run, or is skipped and recorded with the reason."""

    @model_validator(mode="after")
    def _one_place(self) -> "ProblemSet":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is None and (self.config or self.split or self.revision or self.stream):
            raise ValueError("config, split, revision and stream belong to hub; this set has a path")
        if self.stream and (self.limit is None or self.split is None):
            raise ValueError("stream needs a split, and a limit: the rows are kept in memory")
        if sum(map(bool, (self.answer, self.tests, self.verifier))) > 1:
            raise ValueError("name one of answer, tests and verifier: one of them decides the outcome")
        if not self.tests and (self.entry_point or self.setup):
            raise ValueError("entry_point and setup belong to tests; name its column too")
        if self.solution and self.steps:
            raise ValueError("name solution (a text) or steps (a list of texts), not both")
        said = [name for name in PEOPLE if getattr(self, name)]
        if len(said) > 1:
            raise ValueError(f"name one of {' and '.join(said)}, not both")
        if said and not self.supplies:
            raise ValueError(f"{said[0]} is about a solution; name its column as solution or steps")
        if self.quality is None and (self.min_quality is not None or self.quality_is_weight):
            raise ValueError("min_quality and quality_is_weight need a column of quality; name it as quality")
        if self.licenses and self.row_license is None:
            raise ValueError("licenses needs a column of licenses; name it as row_license")
        if self.error_span and not self.solution:
            raise ValueError("error_span counts characters of one text; name it as solution")
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
    def supplies(self) -> bool:
        return bool(self.solution or self.steps)

    @property
    def columns(self) -> dict[str, str]:
        """Field to column, for the fields that have one."""
        own = ("question", "answer", "id", "solution", "steps", *PEOPLE, "domain", "difficulty", "group")
        fields = (*own, "tests", "entry_point", "setup", "reference", *SELECTING)
        named = {field: getattr(self, field) for field in fields}
        return {field: column for field, column in named.items() if column is not None}


class SourceItem(Record):
    """A problem and the solutions that came with it."""

    problem: Problem
    solutions: tuple[Brought, ...] = ()


def row_to_problem(part: ProblemSet, row: Mapping[str, object], number: int, source: str) -> SourceItem:
    """Return the problem of a row; ``number`` (from 1) and ``source`` (the file) are for messages.

    The id is ``label:value`` of the id column, or ``label:hash`` of the question, which reordering does not change.
    """
    values = {column: lookup(row, column) for column in part.columns.values()}
    cells = Cells(part.columns, values, f"{source}, row {number}")
    question = _question(cells, part.question)
    tests = unit_tests(cells, part.test_seconds, part.over_limit) if part.tests else None
    own_id = cells.identifier() if part.id else hash_of(question)
    problem = Problem(
        id=f"{part.label}:{own_id}",
        source=part.label,
        domain=cells.label("domain") or part.label,
        question=question if tests is None else asked_by_name(question, tests),
        answer=cells.answer(),
        answer_kind=part.answer_kind,
        difficulty=cells.difficulty(),
        # copies that differ only in case or white space must not be split between train and test
        group=cells.label("group") or f"question-{hash_of(' '.join(question.split()).casefold())}",
        kept=_kept(cells, row, part.keep),
        verifier=tests or part.verifier,
        known_solution=known_solution(cells, tests),
    )
    return SourceItem(problem=problem, solutions=solutions_of(cells) if part.supplies else ())


def unwanted(part: ProblemSet, row: Mapping[str, object], problem: Problem) -> str | None:
    """Return why a good row is skipped: its quality or its license; None if it is wanted."""
    cells = Cells(part.columns, {column: lookup(row, column) for column in part.columns.values()}, "")
    license_ = (cells.label("row_license") or "").casefold()
    if part.licenses and license_ not in {name.casefold() for name in part.licenses}:
        return "not under an accepted license"
    known = _number(cells.value("quality"))
    if part.min_quality is not None and (known is None or known < part.min_quality):
        return "below min_quality"
    if part.quality_is_weight and seed_of("quality", problem.id) / 2**63 >= (known or 0.0):
        return "not drawn, by quality"
    return None


def _number(value: object) -> float | None:
    try:
        return None if isinstance(value, bool) or not isinstance(value, int | float | str) else float(value)
    except ValueError:
        return None


def hash_of(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _question(cells: Cells, column: str) -> str:
    try:
        asked = asked_in(cells.row[column])
    except ValueError as error:
        cells.bad("question", str(error))
    return cells._replace(row={column: asked}).required_text("question")


def _kept(cells: Cells, row: Mapping[str, object], names: tuple[str, ...]) -> tuple[KeptColumn, ...]:
    kept = []
    for name in names:
        if (value := lookup(row, name)) is not None:
            text = Cells({"keep": name}, {name: as_text(value)}, cells.where).text("keep")
            kept.append(KeptColumn(name=name, value=text or ""))
    if (license_ := cells.label("row_license")) is not None:
        kept.append(KeptColumn(name=LICENSE, value=license_))
    return tuple(kept)
