"""What rows of several exports have in common: chat turns, where a row comes from, and the policy's own prompt."""

from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Any, TypeVar

from pydantic import Field, create_model

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record

R = TypeVar("R", bound=Record)

ExportName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
"""Names a folder and a configuration of the data set, so it may hold no more than the Hub and every disk take."""


class Turn(Record):
    """A chat turn."""

    role: str
    content: str


def asked(problem: LabeledProblem) -> str:
    """Return the prompt as the policy saw it, so that rows train the policy that wrote them."""
    return problem.policy.prompt.replace("{question}", problem.problem.question.strip())


def generation_model(problem: LabeledProblem) -> str:
    """Return the name of the model that wrote the solutions, and of another that completed them; of one in a folder of
    this machine, its last part."""
    writer, completer = name_only(problem.policy.model), problem.completer
    return writer if completer is None else f"{writer}; completed by {name_only(completer.model)}"


def name_only(model: str) -> str:
    """Return a model's name without the folder of the machine that it lies in."""
    return PurePath(model).name if PurePath(model).is_absolute() else model


class ProblemOrigin(Record):
    """The columns that stand last in rows about a problem."""

    domain: str
    difficulty: int | None
    problem_id: str
    labeler: str


class Origin(Record):
    """The columns that stand last in rows about a solution; of a pair, about the chosen one."""

    domain: str
    difficulty: int | None
    problem_id: str
    solution_id: str
    labeler: str


def followed_by(*last: type[Record]) -> Callable[[type[R]], type[R]]:
    """Let the columns of other records follow a row's own; those of a base class would stand before them."""

    def joined(row: type[R]) -> type[R]:
        columns: dict[str, Any] = {n: (f.annotation, f) for record in last for n, f in record.model_fields.items()}
        return create_model(row.__name__, __base__=row, __module__=row.__module__, __doc__=row.__doc__, **columns)

    return joined


def problem_origin(problem: LabeledProblem, labeler: str | None = None) -> dict[str, Any]:
    """Return the columns of ``ProblemOrigin``."""
    of = problem.problem
    labeler = labeler or problem.solutions[0].verdict.labeler
    return {"domain": of.domain, "difficulty": of.difficulty, "problem_id": of.id, "labeler": labeler}


def origin(problem: LabeledProblem, solution: LabeledSolution) -> dict[str, Any]:
    """Return the columns of ``Origin``."""
    return {**problem_origin(problem, solution.verdict.labeler), "solution_id": solution.rollout.id}


def origin_of_path(problem: LabeledProblem, rollout: str) -> dict[str, Any]:
    """Return the same columns for a solution that a completion ends."""
    return {**problem_origin(problem), "solution_id": rollout}
