"""PRM800K's nested lines (openai/prm800k, README), with our labels in place of a person's."""

from collections.abc import Iterable, Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import Export, json_lines, origin
from stepforge.pipelines.exports.marked import Marked, StepLabels
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout

Rating = int
"""1 right, -1 wrong; PRM800K's 0 (neither) is never given."""


class RatedStep(Record):
    text: str
    rating: Rating | None
    flagged: bool | None = None


class StepChoice(Record):
    """The candidates for one place; there is one, and it was chosen."""

    completions: tuple[RatedStep, ...]
    human_completion: RatedStep | None = None
    chosen_completion: int | None = 0


class PRM800KLabel(Record):
    steps: tuple[StepChoice, ...]
    total_time: int
    """Milliseconds of a person's time: none."""
    finish_reason: str
    """``found_error``, ``solution``, or ``give_up`` if every step is called right but the answer is wrong."""


class PRM800KQuestion(Record):
    problem: str
    ground_truth_solution: str | None
    ground_truth_answer: str | None
    pre_generated_steps: tuple[str, ...]
    """All of the solution's steps, those after the first error too."""
    pre_generated_answer: str | None
    pre_generated_verifier_score: float | None = None


class PRM800KRow(Record):
    labeler: str
    timestamp: str = ""
    """Empty in exports: data contains no times, so the same run gives the same bytes."""
    generation: int | None = None
    is_quality_control_question: bool = False
    is_initial_screening_question: bool = False
    question: PRM800KQuestion
    label: PRM800KLabel
    domain: str
    difficulty: int | None
    problem_id: str
    solution_id: str


class PRM800K(StepLabels, Export):
    """JSON lines as its readers expect them, and Parquet of the same nested columns: ``load_dataset`` reads one format
    per folder."""

    kind: Literal["prm800k"] = "prm800k"
    row = PRM800KRow
    task = "token-classification"

    def lines_beside(self, file: str) -> str:
        return json_lines(file)

    def rows(self, problem: LabeledProblem) -> Iterator[PRM800KRow]:
        """Yield a line for each solution with a verdict; it ends at the first error, as in PRM800K's second phase."""
        for marked in self.marked(problem):
            yield PRM800KRow(
                question=question_of(problem, marked.solution.rollout),
                label=_label(marked),
                **origin(problem, marked.solution),
            )


def question_of(problem: LabeledProblem, rollout: Rollout) -> PRM800KQuestion:
    return PRM800KQuestion(
        problem=problem.problem.question,
        ground_truth_solution=problem.problem.reference_solution,
        ground_truth_answer=problem.problem.answer,
        pre_generated_steps=tuple(step.text.rstrip("\n") for step in rollout.steps),
        pre_generated_answer=rollout.answer,
    )


def steps_rated(steps: Iterable[tuple[str, Rating | None]]) -> tuple[StepChoice, ...]:
    return tuple(StepChoice(completions=(RatedStep(text=text, rating=rating),)) for text, rating in steps)


def _label(marked: Marked) -> PRM800KLabel:
    solution = marked.solution
    right = "give_up" if solution.rollout.outcome == "wrong" else "solution"
    return PRM800KLabel(
        steps=steps_rated((text, 1 if r else -1) for text, r in zip(marked.steps, marked.labels, strict=True)),
        total_time=0,
        finish_reason=right if solution.verdict.first_error is None else "found_error",
    )
