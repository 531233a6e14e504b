"""What formats have in common: what goes out, what comes back, and how a wrong file is refused."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from stepforge.schemas.errors import BadInput
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
        """The texts of its steps."""
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


FINDINGS: tuple[Finding, ...] = ("right", "wrong", "repaired", "redundant", "unclear", "reference_wrong")


def finding_of(value: object) -> Finding | None:
    """Return a finding by its name, None for other words."""
    return next((one for one in FINDINGS if one == value), None)


def parsed(text: str, where: str) -> Any:
    """Return JSON.

    Raises:
        BadInput: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON ({error})") from None


def json_lines(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of JSON lines, each with its place in words.

    Raises:
        BadInput: a line is not an object.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"line {number}"
            value = parsed(line, where)
            if not isinstance(value, dict):
                raise BadInput(f"{where}: not a JSON object")
            yield where, value


def listed(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a JSON list, each with its place in words.

    Raises:
        BadInput: it is no list of objects.
    """
    value = parsed(text, "the file")
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadInput("not a JSON list of objects")
    yield from ((f"entry {number}", one) for number, one in enumerate(value, 1))
