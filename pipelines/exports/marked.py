"""Solutions with a boolean and, where known, a value for each step: the basis of all stepwise exports."""

from functools import partial
from typing import Literal, NamedTuple

from stepforge.pipelines.exports.last_problem import LastProblem
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel
from stepforge.schemas.record import Record


class Measured(NamedTuple):
    value: float
    low: float
    high: float


class Marked(NamedTuple):
    solution: LabeledSolution
    steps: tuple[str, ...]
    """Texts without their trailing line breaks; consumers add their own separators."""
    labels: tuple[bool, ...]
    """A step is right before the first error and wrong at it."""
    measured: tuple[Measured | None, ...]

    @property
    def targets(self) -> tuple[float | None, ...]:
        """What a soft label would be: the target of the rule that relabeled the run, else the value."""
        if self.solution.targets:
            return self.solution.targets[: len(self.steps)]
        return tuple(None if m is None else m.value for m in self.measured)


class StepLabels(Record):
    after_first_error: Literal["drop", "wrong"] = "drop"
    """Steps after the first error: nothing is known of them, so they are dropped, or called wrong on request."""

    def marked(self, problem: LabeledProblem) -> list[Marked]:
        """Return each solution that has a verdict; identical solutions of a problem once."""
        return _ALL_MARKED(problem) if self.after_first_error == "wrong" else _MARKED(problem)


def _marked(problem: LabeledProblem, *, further: bool) -> list[Marked]:
    """Mark the solutions up to the first error, or with ``further`` the steps after it too, as wrong."""
    found: dict[str, Marked] = {}
    for solution in problem.solutions:
        text = solution.rollout.text
        if solution.verdict.abstained or not solution.rollout.steps or text in found:
            continue
        error, steps = solution.verdict.first_error, solution.rollout.steps
        count = len(steps) if error is None or further else error + 1
        found[text] = Marked(
            solution,
            steps=tuple(step.text.rstrip("\n") for step in steps[:count]),
            labels=tuple(error is None or i < error for i in range(count)),
            measured=tuple(measured(label) for label in solution.labels[:count]),
        )
    return list(found.values())


_MARKED = LastProblem(partial(_marked, further=False))
_ALL_MARKED = LastProblem(partial(_marked, further=True))


def measured(label: StepLabel | None) -> Measured | None:
    """Return the labeler's posterior if it has one, else the success rate with its Wilson interval.

    The rate is biased under adaptive stopping, so it is given only for fixed numbers.
    """
    if label is None:
        return None
    if label.belief is not None:
        return Measured(label.belief.value, label.belief.low, label.belief.high)
    if label.stopping != "fixed" or label.value is None or label.interval is None:
        return None
    return Measured(label.value, *label.interval)
