"""Repair traces: a wrong solution, the verifier's message, and the policy's second turn, which is right."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.rows import Origin, origin, own_columns_first
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


@own_columns_first
class RepairRow(Origin):
    prompt: str
    """What the policy was given: the question, its first solution, and the verifier's message."""
    completion: str
    """Its second solution."""
    message: str
    """Why the first was wrong, in the verifier's words."""


class Repairs(Export):
    """One row for each wrong solution that the policy repaired after learning why it failed."""

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
