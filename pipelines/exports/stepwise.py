"""The ``stepwise`` export: a row per solution, a boolean per step."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pipelines.exports.rows import StepwiseRow
from schemas.labeled import LabeledProblem, LabeledSolution, StepLabel
from schemas.record import Record


class Stepwise(Record):
    """A step is right before the first error and wrong at it."""

    kind: Literal["stepwise"] = "stepwise"
    row: ClassVar[type[Record]] = StepwiseRow
    name: str = "stepwise"
    """Folder under ``datasets/``."""
    after_first_error: Literal["drop", "wrong"] = "drop"
    """Steps behind the first error: nothing is known of them, so they are dropped, or called wrong on request."""

    def rows(self, problem: LabeledProblem) -> Iterator[StepwiseRow]:
        """Yield a row for each solution with a verdict; identical solutions of a problem give one row."""
        seen = set()
        for solution in problem.solutions:
            if solution.verdict.abstained or not solution.rollout.steps or solution.rollout.text in seen:
                continue
            seen.add(solution.rollout.text)
            yield self._row(problem, solution)

    def _row(self, problem: LabeledProblem, solution: LabeledSolution) -> StepwiseRow:
        error, steps = solution.verdict.first_error, solution.rollout.steps
        count = len(steps) if error is None or self.after_first_error == "wrong" else error + 1
        labels = solution.labels[:count]
        return StepwiseRow(
            prompt=problem.problem.question,
            completions=tuple(step.text.rstrip("\n") for step in steps[:count]),
            labels=tuple(error is None or i < error for i in range(count)),
            values=tuple(None if label is None else label.value for label in labels),
            successes=tuple(None if label is None else label.successes for label in labels),
            trials=tuple(None if label is None else label.trials for label in labels),
            low=tuple(_bound(label, 0) for label in labels),
            high=tuple(_bound(label, 1) for label in labels),
            first_error=-1 if error is None else error,
            final_answer_correct=solution.rollout.outcome == "correct",
            labeler=solution.verdict.labeler,
            domain=problem.problem.domain,
            difficulty=problem.problem.difficulty,
            problem_id=problem.problem.id,
            solution_id=solution.rollout.id,
        )


def _bound(label: StepLabel | None, end: int) -> float | None:
    interval = None if label is None else label.interval
    return None if interval is None else interval[end]
