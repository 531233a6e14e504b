"""Repair traces: a wrong solution, what a verifier said of it, and the policy's second turn, which is right."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.rows import Origin, origin, own_columns_first
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


@own_columns_first
class RepairRow(Origin):
    """Both turns of a repair."""

    prompt: str
    """What the policy was given: the question, its first solution, and what was said of it."""
    completion: str
    """Its second solution."""
    message: str
    """Why the first was wrong, as the verifier said it."""


class Repairs(Export):
    """One row for each wrong solution that the policy mended once it was told why."""

    kind: Literal["repairs"] = "repairs"
    row = RepairRow

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for solution in problem.solutions:
            repair = solution.rollout.repair
            if repair is not None and repair.outcome == "correct":
                yield RepairRow(
                    prompt=repair.prompt,
                    completion=repair.text,
                    message=repair.message,
                    **origin(problem, solution),
                )
