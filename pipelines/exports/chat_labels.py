"""Step labels as conversations: Qwen-PRM's marked assistant turn, and RLHFlow's ``+`` and ``-`` answers."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.marked import StepLabels
from stepforge.pipelines.exports.rows import Origin, Turn, origin, own_columns_first
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
"""The system turn of the Qwen2.5-Math-PRM model card."""


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
        for marked in self.marked(problem):
            if any(self.step_end in text for text in (question, *marked.steps)):
                continue
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
            yield RLHFlowRow(
                conversations=tuple(turns),
                **origin(problem, marked.solution),
            )
