"""What rows of several exports have in common: chat turns, where a row comes from, and the policy's own prompt."""

from pathlib import PurePath
from typing import Annotated, Any

from pydantic import Field

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record

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
    """Return the name of the model that wrote the solutions; of one in a folder of this machine, its last part."""
    return name_only(problem.policy.model)


def name_only(model: str) -> str:
    """Return a model's name without the folder of the machine that it lies in."""
    return PurePath(model).name if PurePath(model).is_absolute() else model


def origin(problem: LabeledProblem, solution: LabeledSolution) -> dict[str, Any]:
    """Return the columns that stand last in every row."""
    return _origin(problem, solution.rollout.id, solution.verdict.labeler)


def origin_of_path(problem: LabeledProblem, rollout: str) -> dict[str, Any]:
    """Return the same columns for a solution that a completion ends."""
    return _origin(problem, rollout, problem.solutions[0].verdict.labeler)


def _origin(problem: LabeledProblem, rollout: str, labeler: str) -> dict[str, Any]:
    return {
        "domain": problem.problem.domain,
        "difficulty": problem.problem.difficulty,
        "problem_id": problem.problem.id,
        "solution_id": rollout,
        "labeler": labeler,
    }
