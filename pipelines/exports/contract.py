"""The contract of an export: what it needs of a labeled problem, which rows it makes, and how they are written.

What rows of several exports share is here too: chat turns, the origin columns, and the policy's own prompt.

A new export is a file with a subclass, a line in the union of ``exports/__init__.py``, a training note and a test.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from inspect import get_annotations
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal, TypedDict, TypeVar, cast

from pydantic import Field, create_model, field_validator

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record

R = TypeVar("R", bound=Record)

ExportName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
"""Names a folder and a configuration of the data set, so only characters that the Hub and every disk accept."""


class Turn(Record):
    role: str
    content: str


def json_lines(file: str) -> str:
    return file.replace(".parquet", ".jsonl")


def asked(problem: LabeledProblem) -> str:
    """Return the prompt as the policy saw it, so rows train the policy that wrote them."""
    return problem.policy.prompt.replace("{question}", problem.problem.question.strip())


def generation_model(problem: LabeledProblem) -> str:
    """Return who wrote the solutions, and who else completed them."""
    writer, completer = name_only(problem.policy.model), problem.completer
    return writer if completer is None else f"{writer}; completed by {name_only(completer.model)}"


def name_only(model: str) -> str:
    return PurePath(model).name if PurePath(model).is_absolute() else model


class ProblemOrigin(Record):
    """The last columns in rows about a problem."""

    domain: str
    difficulty: int | None
    problem_id: str
    labeler: str


class Origin(Record):
    """The last columns in rows about a solution; for a pair, about the chosen one."""

    domain: str
    difficulty: int | None
    problem_id: str
    solution_id: str
    labeler: str


class ProblemColumns(TypedDict):
    domain: str
    difficulty: int | None
    problem_id: str
    labeler: str


class SolutionColumns(ProblemColumns):
    solution_id: str


def own_columns_first(row: type[R]) -> type[R]:
    """Put a row's own columns before those of its bases, as pydantic does not; a row has columns alone, no methods."""
    names = (name for cls in row.__mro__ for name in get_annotations(cls))
    columns = {
        name: (row.model_fields[name].annotation, row.model_fields[name]) for name in names if name in row.model_fields
    }
    made = create_model(row.__name__, __base__=Record, __module__=row.__module__, __doc__=row.__doc__, **columns)  # type: ignore[call-overload]
    return cast(type[R], made)


def problem_origin(problem: LabeledProblem, labeler: str | None = None) -> ProblemColumns:
    of = problem.problem
    labeler = labeler or problem.solutions[0].verdict.labeler
    return {"domain": of.domain, "difficulty": of.difficulty, "problem_id": of.id, "labeler": labeler}


def origin(problem: LabeledProblem, solution: LabeledSolution) -> SolutionColumns:
    return {**problem_origin(problem, solution.verdict.labeler), "solution_id": solution.rollout.id}


def origin_of_path(problem: LabeledProblem, rollout: str) -> SolutionColumns:
    """Return the same columns for a solution that a completion ends."""
    return {**problem_origin(problem), "solution_id": rollout}


class Export(Record, ABC):
    """A part of the run file that turns labeled problems into flat training rows."""

    row: ClassVar[type[Record]]
    """Class of its rows; the columns follow from it."""
    task: ClassVar[Literal["text-generation", "token-classification"]] = "text-generation"
    """The Hub's task category: models that write text, or that judge steps."""
    needs_completions: ClassVar[bool] = False
    """Whether it reads ``evidence`` and ``further``; reading them takes most of the time."""
    kind: str
    name: ExportName = Field(default_factory=lambda settings: settings["kind"])
    """Folder under ``datasets/``."""
    pass_rate: tuple[float, float] = (0.0, 1.0)
    """Only problems with a pass rate in this range, ends included: labels need both outcomes, pairs mainly the middle,
    reinforcement learning neither hopeless nor solved problems."""

    @field_validator("pass_rate")
    @classmethod
    def _a_band(cls, band: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= band[0] <= band[1] <= 1:
            raise ValueError("is not a range; give two shares, the smaller first, such as [0.2, 0.8]")
        return band

    def takes(self, problem: LabeledProblem) -> bool:
        """Whether a problem's pass rate is in the range; one without a rate is only in the full range."""
        if self.pass_rate == (0.0, 1.0):
            return True
        rate = problem.pass_rate
        return rate is not None and self.pass_rate[0] <= rate <= self.pass_rate[1]

    @property
    def row_class(self) -> type[Record]:
        return self.row

    @abstractmethod
    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        """Yield the problem's rows, the same ones in the same order each time."""

    def lines_beside(self, file: str) -> str | None:
        """Name of the file that also holds the rows of this Parquet file, as lines of JSON; None for no such file."""
        return None

    def line(self, row: Mapping[str, object]) -> Mapping[str, object]:
        return row

    @property
    def package(self) -> Mapping[str, str]:
        """Name -> text of files that make a Python package of the data set's folder."""
        return {}

    @property
    def most_of_a_class(self) -> float | None:
        """Most rows of a class, in multiples of the median class's; None keeps all rows."""
        return None

    def classes(self, row: Record) -> tuple[str, ...]:
        return ()
