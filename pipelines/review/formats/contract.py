"""The contract of formats: exported solutions, imported findings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.review import Finding, StepFinding


class Task(NamedTuple):
    """A solution to export, with what is known of it."""

    row: LabeledProblem
    solution: LabeledSolution
    step: int
    """The doubtful one."""
    said: Sequence[StepFinding]

    @property
    def steps(self) -> list[str]:
        return [step.text.strip("\n") for step in self.solution.rollout.steps]


class Said(NamedTuple):
    """A finding from another tool; its solution is identified by ids, or by its text."""

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
"""Another tool's objects, each with its location in words; contents are untrusted."""
FINDINGS: tuple[Finding, ...] = ("right", "wrong", "repaired", "redundant", "unclear", "reference_wrong")


def finding_of(value: object) -> Finding | None:
    return next((one for one in FINDINGS if one == value), None)
