"""What rows of several exports have in common: chat turns, where a row comes from, and the policy's own prompt."""

from typing import Annotated

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


def origin(problem: LabeledProblem, solution: LabeledSolution) -> dict[str, str | int | None]:
    """Return the columns that stand last in every row."""
    return {
        "domain": problem.problem.domain,
        "difficulty": problem.problem.difficulty,
        "problem_id": problem.problem.id,
        "solution_id": solution.rollout.id,
        "labeler": solution.verdict.labeler,
    }
