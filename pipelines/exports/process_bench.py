"""ProcessBench rows (arXiv 2412.06559) with the oracle's labels: an evaluation set, and never training data.

The labels are independent of the run's labelers. They exist only for problems with a known truth, and for solutions in
which the oracle can judge every step up to the first error; a right chain without a right answer is contradictory and
left out. Rows of the test split share no template with any training data.
"""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import (
    Export,
    ProblemOrigin,
    generation_model,
    own_columns_first,
    problem_origin,
)
from stepforge.pipelines.exports.last_problem import truths_of
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict


@own_columns_first
class ProcessBenchRow(ProblemOrigin):
    """ProcessBench's columns; the score is the harmonic mean of the exact shares on erroneous and on clean rows."""

    id: str
    generator: str
    """The policy that wrote the solution."""
    problem: str
    steps: tuple[str, ...]
    final_answer_correct: bool
    label: int
    """0-based index of the first wrong step; -1 if every step is right."""


class ProcessBench(Export):
    """An evaluation set with oracle labels."""

    kind: Literal["process_bench"] = "process_bench"
    row = ProcessBenchRow
    task = "token-classification"

    def rows(self, problem: LabeledProblem) -> Iterator[ProcessBenchRow]:
        if problem.problem.truth is None:
            return
        distinct = {solution.rollout.text: solution for solution in reversed(problem.solutions)}
        for solution in reversed(distinct.values()):
            truth = truths_of(problem)[solution.rollout.id]
            if _judged(solution, truth):
                yield ProcessBenchRow(
                    id=f"{problem.problem.source}-{solution.rollout.id}",
                    generator=generation_model(problem),
                    problem=problem.problem.question,
                    steps=tuple(step.text.rstrip("\n") for step in solution.rollout.steps),
                    final_answer_correct=solution.rollout.outcome == "correct",
                    label=-1 if truth.first_error is None else truth.first_error,
                    **problem_origin(problem, truth.labeler),
                )


def _judged(solution: LabeledSolution, truth: Verdict) -> bool:
    rollout, classes = solution.rollout, truth.classes or ()
    if rollout.outcome == "undetermined" or not classes:
        return False
    if truth.first_error is None:
        return rollout.outcome == "correct" and "unknown" not in classes
    return "unknown" not in classes[: truth.first_error]
