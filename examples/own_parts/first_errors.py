"""An export: one row per wrong step, with the steps before it."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import Export, Origin, origin, own_columns_first
from stepforge.schemas.labeled import LabeledProblem


@own_columns_first
class FirstErrorRow(Origin):
    question: str
    before: str
    wrong_step: str


class FirstErrors(Export):
    kind: Literal["first_errors"] = "first_errors"
    row = FirstErrorRow

    def rows(self, problem: LabeledProblem) -> Iterator[FirstErrorRow]:
        for solution in problem.solutions:
            error = solution.verdict.first_error
            if error is not None:
                steps = [step.text for step in solution.rollout.steps]
                yield FirstErrorRow(
                    question=problem.problem.question,
                    before="".join(steps[:error]),
                    wrong_step=steps[error],
                    **origin(problem, solution),
                )
