"""The ``stepwise`` export: a row per solution, a boolean per step."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import Export, Origin, origin, own_columns_first
from stepforge.pipelines.exports.marked import Marked, StepLabels
from stepforge.schemas.labeled import LabeledProblem

SQUARES = "\N{LARGE RED SQUARE}\N{LARGE ORANGE SQUARE}\N{LARGE YELLOW SQUARE}\N{LARGE GREEN SQUARE}"
UNKNOWN = "\N{WHITE LARGE SQUARE}"


@own_columns_first
class StepwiseRow(Origin):
    """Stepwise supervision as TRL (up to 1.13) and axolotl read it: ``prompt``, ``completions``, boolean ``labels``.

    The values are in separate columns: both consumers apply ``int(label)``, which makes 0.99 a 0.
    """

    prompt: str
    completions: tuple[str, ...]
    """Step texts without their trailing line breaks; the consumer puts its own separator between them."""
    labels: tuple[bool, ...]
    colors: str
    """One square per step, for people reading the rows: the probability that the step and all before it are right.
    Green above 3/4, yellow above 1/2, orange above 1/4, else red; white if unknown."""
    values: tuple[float | None, ...]
    """V after the step: the labeler's posterior mean, else the share of completions that reach the right answer; or
    null."""
    successes: tuple[int | None, ...]
    trials: tuple[int | None, ...]
    low: tuple[float | None, ...]
    """Lower end of the value's interval: 90 % credible for a posterior, 95 % Wilson for a share."""
    high: tuple[float | None, ...]
    targets: tuple[float | None, ...]
    """Training target of each step from ``stepforge relabel``; empty if no rule was applied."""
    values_from: str
    """``belief`` (a posterior) or ``counts``."""
    first_error: int
    """0-based index of the first wrong step, -1 if there is none (ProcessBench's convention)."""
    final_answer_correct: bool | None
    """Null if the problem has no reference answer: a judge alone labeled it."""


class Stepwise(StepLabels, Export):
    """A step is right before the first error and wrong at it."""

    kind: Literal["stepwise"] = "stepwise"
    row = StepwiseRow
    task = "token-classification"

    def rows(self, problem: LabeledProblem) -> Iterator[StepwiseRow]:
        for marked in self.marked(problem):
            yield _row(problem, marked)


def _row(problem: LabeledProblem, marked: Marked) -> StepwiseRow:
    solution = marked.solution
    labels = solution.labels[: len(marked.steps)]
    error = solution.verdict.first_error
    return StepwiseRow(
        prompt=problem.problem.question,
        completions=marked.steps,
        labels=marked.labels,
        colors="".join(
            UNKNOWN if right is None else SQUARES[min(3, int(4 * right))]
            for right in solution.right_so_far[: len(marked.steps)]
        ),
        values=tuple(None if m is None else m.value for m in marked.measured),
        successes=tuple(None if label is None else label.successes for label in labels),
        trials=tuple(None if label is None else label.trials for label in labels),
        low=tuple(None if m is None else m.low for m in marked.measured),
        high=tuple(None if m is None else m.high for m in marked.measured),
        targets=solution.targets[: len(marked.steps)],
        values_from="belief" if any(label is not None and label.belief is not None for label in labels) else "counts",
        first_error=-1 if error is None else error,
        final_answer_correct=None
        if solution.rollout.outcome == "undetermined"
        else solution.rollout.outcome == "correct",
        **origin(problem, solution),
    )
