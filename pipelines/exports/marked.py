"""Solutions with a boolean and, where known, a value for each step: what all stepwise exports are made from."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel
from stepforge.schemas.record import Record


class Measured(NamedTuple):
    """What is known of V behind a step."""

    value: float
    low: float
    high: float


class Marked(NamedTuple):
    """A solution up to where its steps have labels."""

    solution: LabeledSolution
    steps: tuple[str, ...]
    """Texts without their trailing line breaks; consumers put separators of their own between them."""
    labels: tuple[bool, ...]
    """A step is right before the first error and wrong at it."""
    measured: tuple[Measured | None, ...]

    @property
    def targets(self) -> tuple[float | None, ...]:
        """What a soft label would be: the target of the rule that relabelled the run, else the value."""
        if self.solution.targets:
            return self.solution.targets[: len(self.steps)]
        return tuple(None if m is None else m.value for m in self.measured)


class StepLabels(Record):
    """The settings that all stepwise exports share."""

    after_first_error: Literal["drop", "wrong"] = "drop"
    """Steps behind the first error: nothing is known of them, so they are dropped, or called wrong on request."""

    def marked(self, problem: LabeledProblem) -> Iterator[Marked]:
        """Yield each solution that has a verdict; identical solutions of a problem once."""
        seen = set()
        for solution in problem.solutions:
            text = solution.rollout.text
            if solution.verdict.abstained or not solution.rollout.steps or text in seen:
                continue
            seen.add(text)
            error, steps = solution.verdict.first_error, solution.rollout.steps
            count = len(steps) if error is None or self.after_first_error == "wrong" else error + 1
            yield Marked(
                solution,
                steps=tuple(step.text.rstrip("\n") for step in steps[:count]),
                labels=tuple(error is None or i < error for i in range(count)),
                measured=tuple(measured(label) for label in solution.labels[:count]),
            )


def measured(label: StepLabel | None) -> Measured | None:
    """Return the labeler's posterior where it has one, else the share that succeeded with its Wilson interval.

    The share alone is biased where drawing stopped by what had been seen, so it is given for fixed numbers only.
    """
    if label is None:
        return None
    if label.belief is not None:
        return Measured(label.belief.value, label.belief.low, label.belief.high)
    if label.stopping != "fixed" or label.value is None or label.interval is None:
        return None
    return Measured(label.value, *label.interval)
