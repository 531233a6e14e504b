"""Step labels inside running text: Math-Shepherd's columns, and OpenRLHF's with soft values.

Both mark the end of each step with a token; a row whose own text contains that token would be misread, so it is left
out.
"""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.marked import Marked, StepLabels
from stepforge.pipelines.exports.rows import Origin, origin, own_columns_first
from stepforge.schemas.labeled import LabeledProblem

STEP_END = "\u043a\u0438"
"""Math-Shepherd's step token."""
_NUMBERED = re.compile(r"\s*Step \d+:")


@own_columns_first
class MathShepherdRow(Origin):
    """The columns of the Math-Shepherd data set: the text with step tokens, and the same with ``+`` and ``-``."""

    input: str
    label: str
    task: str
    """The problem's source."""


@own_columns_first
class SoftStepwiseRow(Origin):
    """OpenRLHF's process reward data: a text with placeholders, and a number for each of them."""

    input: str
    value: tuple[float, ...]


class MarkedText(StepLabels):
    """The settings of both."""

    step_end: str = Field(default=STEP_END, min_length=1)
    """Ends each step; must be one token of the model that is trained."""

    def usable(self, problem: LabeledProblem) -> Iterator[Marked]:
        """Yield the marked solutions whose text does not hold the step token."""
        for marked in self.marked(problem):
            if not any(self.step_end in text for text in (problem.problem.question, *marked.steps)):
                yield marked

    def text(self, question: str, steps: tuple[str, ...], ends: tuple[str, ...]) -> str:
        """Return the question and the steps, one per line; readers of this format cut at ``Step 1:``."""
        lines = [f"{_opened(i, step)} {end}" for i, (step, end) in enumerate(zip(steps, ends, strict=True), 1)]
        return f"{question} " + "\n".join(lines)


def _opened(number: int, step: str) -> str:
    return step if _NUMBERED.match(step) else f"Step {number}: {step}"


class MathShepherdText(MarkedText, Export):
    """``+`` for right and ``-`` for wrong, in place of the step token."""

    kind: Literal["math_shepherd_text"] = "math_shepherd_text"
    row = MathShepherdRow
    task = "token-classification"

    def rows(self, problem: LabeledProblem) -> Iterator[MathShepherdRow]:
        question = problem.problem.question
        for marked in self.usable(problem):
            signs = tuple("+" if right else "-" for right in marked.labels)
            yield MathShepherdRow(
                input=self.text(question, marked.steps, (self.step_end,) * len(signs)),
                label=self.text(question, marked.steps, signs),
                task=problem.problem.source,
                **origin(problem, marked.solution),
            )


class SoftStepwise(MarkedText, Export):
    """A value for each step. OpenRLHF needs a number at every placeholder, so a row ends before the first unknown."""

    kind: Literal["soft_stepwise"] = "soft_stepwise"
    row = SoftStepwiseRow
    task = "token-classification"

    def rows(self, problem: LabeledProblem) -> Iterator[SoftStepwiseRow]:
        for marked in self.usable(problem):
            values = _known(marked.targets)
            steps = marked.steps[: len(values)]
            if values:
                yield SoftStepwiseRow(
                    input=self.text(problem.problem.question, steps, (self.step_end,) * len(steps)),
                    value=values,
                    **origin(problem, marked.solution),
                )


def _known(targets: tuple[float | None, ...]) -> tuple[float, ...]:
    known: list[float] = []
    for target in targets:
        if target is None:
            break
        known.append(target)
    return tuple(known)
