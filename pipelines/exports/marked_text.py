"""Step labels inside texts and conversations: Math-Shepherd's columns, OpenRLHF's with soft values, Qwen-PRM's marked
assistant turn, and RLHFlow's ``+`` and ``-`` answers.

Where a token marks the end of each step, a row whose own text contains that token would be misread, so it is left out.
"""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stepforge.pipelines.exports.contract import Export, Origin, Turn, origin, own_columns_first
from stepforge.pipelines.exports.marked import Marked, StepLabels
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record

STEP_END = "\u043a\u0438"
"""Math-Shepherd's step token."""
_NUMBERED = re.compile(r"\s*Step \d+:")
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
"""The system turn of the Qwen2.5-Math-PRM model card."""


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
    step_end: str = Field(default=STEP_END, min_length=1)
    """Ends each step; must be one token of the model that is trained."""

    def text(self, question: str, steps: tuple[str, ...], ends: tuple[str, ...]) -> str:
        """Return the question and the steps, one per line; readers of this format cut at ``Step 1:``."""
        opened = [step if _NUMBERED.match(step) else f"Step {i}: {step}" for i, step in enumerate(steps, 1)]
        return f"{question} " + "\n".join(f"{step} {end}" for step, end in zip(opened, ends, strict=True))


def _without(mark: str, problem: LabeledProblem, found: list[Marked]) -> Iterator[Marked]:
    """Yield the solutions that can be told from their marks: neither they nor the question hold the mark itself."""
    for marked in found:
        if not any(mark in text for text in (problem.problem.question, *marked.steps)):
            yield marked


class MathShepherdText(MarkedText, Export):
    """``+`` for right and ``-`` for wrong, in place of the step token."""

    kind: Literal["math_shepherd_text"] = "math_shepherd_text"
    row = MathShepherdRow
    task = "token-classification"

    def rows(self, problem: LabeledProblem) -> Iterator[MathShepherdRow]:
        question = problem.problem.question
        for marked in _without(self.step_end, problem, self.marked(problem)):
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
        for marked in _without(self.step_end, problem, self.marked(problem)):
            values = _known(marked.targets)
            steps = marked.steps[: len(values)]
            if values:
                yield SoftStepwiseRow(
                    input=self.text(problem.problem.question, steps, (self.step_end,) * len(steps)),
                    value=values,
                    **origin(problem, marked.solution),
                )


def _known(targets: tuple[float | None, ...]) -> tuple[float, ...]:
    """Return the targets up to the first step that has none."""
    known: list[float] = []
    for target in targets:
        if target is None:
            break
        known.append(target)
    return tuple(known)


@own_columns_first
class QwenPRMRow(Origin):
    """Messages as Qwen2.5-Math-PRM reads them; ``labels`` is our own convention; no training file was published."""

    messages: tuple[Turn, ...]
    labels: tuple[int, ...]
    """1 or 0 for each step mark: the class of the two-class head at that token."""
    values: tuple[float | None, ...]


class RLHFlowTurn(Record):
    """A turn with its columns in RLHFlow's order."""

    content: str
    role: str


@own_columns_first
class RLHFlowRow(Origin):
    """Question and first step, then one step per user turn; ``+`` or ``-`` is the assistant's whole answer."""

    conversations: tuple[RLHFlowTurn, ...]


class QwenPRM(StepLabels, Export):
    """A mark after every step. A solution that contains the mark itself is left out."""

    kind: Literal["qwen_prm"] = "qwen_prm"
    row = QwenPRMRow
    task = "token-classification"
    step_end: str = Field(default="<extra_0>", min_length=1)
    system: str = SYSTEM

    def rows(self, problem: LabeledProblem) -> Iterator[QwenPRMRow]:
        question = problem.problem.question
        for marked in _without(self.step_end, problem, self.marked(problem)):
            answer = "".join(f"{step}{self.step_end}" for step in marked.steps)
            turns = (("system", self.system), ("user", question), ("assistant", answer))
            yield QwenPRMRow(
                messages=tuple(Turn(role=role, content=content) for role, content in turns),
                labels=tuple(int(right) for right in marked.labels),
                values=marked.targets,
                **origin(problem, marked.solution),
            )


class RLHFlow(StepLabels, Export):
    """Trained with the loss on assistant turns only; any chat trainer reads it."""

    kind: Literal["rlhflow"] = "rlhflow"
    row = RLHFlowRow

    def rows(self, problem: LabeledProblem) -> Iterator[RLHFlowRow]:
        for marked in self.marked(problem):
            turns: list[RLHFlowTurn] = []
            for i, (step, right) in enumerate(zip(marked.steps, marked.labels, strict=True)):
                shown = step if i else f"{problem.problem.question} {step}"
                turns.append(RLHFlowTurn(content=shown, role="user"))
                turns.append(RLHFlowTurn(content="+" if right else "-", role="assistant"))
            yield RLHFlowRow(conversations=tuple(turns), **origin(problem, marked.solution))
