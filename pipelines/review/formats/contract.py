"""What formats have in common: what goes out, and what comes back."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.review import Finding, StepFinding


class Task(NamedTuple):
    """A solution that goes out, with what is known of it."""

    row: LabeledProblem
    solution: LabeledSolution
    step: int
    """The doubtful one."""
    said: tuple[StepFinding, ...]

    @property
    def steps(self) -> list[str]:
        return [step.text.strip("\n") for step in self.solution.rollout.steps]


class Said(NamedTuple):
    """A finding as another tool has it; its solution is named by ids, or by its words."""

    step: int | None
    finding: Finding
    reviewer: str
    at: str
    problem_id: str = ""
    solution_id: str = ""
    question: str = ""
    steps: tuple[str, ...] = ()
    note: str = ""
    seconds: float | None = None
    consent: str = ""
    license: str = ""


Rows: TypeAlias = Iterable[tuple[str, Mapping[str, Any]]]
"""What another tool wrote, object by object, each with its place in words; anything may be in one."""
FINDINGS: tuple[Finding, ...] = ("right", "wrong", "repaired", "redundant", "unclear", "reference_wrong")


def finding_of(value: object) -> Finding | None:
    return next((one for one in FINDINGS if one == value), None)
