"""Shared by the rows of several exports: chat turns, the origin columns, and the policy's own prompt."""

from inspect import get_annotations
from pathlib import PurePath
from typing import Annotated, TypedDict, TypeVar, cast

from pydantic import Field, create_model

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
