"""Solutions as chat turns: reasoning in the consumer's field, a tool's answers in separate turns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Literal, TypeAlias

from pydantic import create_model

from stepforge.grading.calls import OPEN, pending_call
from stepforge.pipelines.exports.rows import Turn
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Step

Reasoning = Literal["think", "reasoning_content", "thinking"]
ChatTurn: TypeAlias = Mapping[str, object]
"""Role and content, and what reasoning and calls add; the fields of ``turn_class``."""
THINK, END_OF_THOUGHT = "<think>", "</think>"
CALCULATOR = "calculator"
_EXPRESSION = {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {"name": CALCULATOR, "description": "Works out an expression.", "parameters": _EXPRESSION},
        }
    ]
)
"""The schema of the one tool that solutions call."""


class Arguments(Record):
    expression: str


class Function(Record):
    name: str
    arguments: Arguments


class ToolCall(Record):
    type: str
    function: Function


@cache
def turn_class(reasoning: Reasoning, *, calls: bool) -> type[Turn]:
    thought = {} if reasoning == "think" else {reasoning: (str | None, ...)}
    called = {"tool_calls": (tuple[ToolCall, ...] | None, None)} if calls else {}
    made: type[Turn] = create_model("ChatTurn", __base__=Turn, **thought, **called)  # type: ignore[call-overload]
    return made


def turn(role: str, text: str, reasoning: Reasoning) -> ChatTurn:
    """Return a turn; ``think`` keeps reasoning inside the content, between its two tags."""
    before, end, after = text.partition(END_OF_THOUGHT) if role == "assistant" else ("", "", text)
    if not end:
        return {"role": role, "content": text, **({} if reasoning == "think" else {reasoning: None})}
    opened = before.lstrip()
    if reasoning == "think":  # some chat templates write the opening tag themselves, so the policy does not
        return {"role": role, "content": text if opened.startswith(THINK) else f"{THINK}\n{text}"}
    return {"role": role, "content": after.lstrip("\n"), reasoning: opened.removeprefix(THINK).strip("\n")}


def said(steps: Sequence[Step], reasoning: Reasoning, *, calls: bool = False) -> Iterator[ChatTurn]:
    """Yield the assistant's turns, with the tool's answers between them; ``calls`` as ``tool_calls``."""
    groups = [(author, list(group)) for author, group in groupby(steps, key=lambda step: step.author)]
    for (author, written), following in zip(groups, [*(who for who, _ in groups[1:]), None], strict=True):
        text = "".join(step.text for step in written)
        called = pending_call(text) if calls and following == "tool" else None
        if called is not None:
            yield {**turn("assistant", text.rpartition(OPEN)[0], reasoning), "tool_calls": [_call(called)]}
        elif author == "tool":
            yield turn("tool", text.removeprefix(" = ").removesuffix("\n") if calls else text, reasoning)
        else:
            yield turn("assistant", text, reasoning)


def _call(expression: str) -> Mapping[str, object]:
    return {"type": "function", "function": {"name": CALCULATOR, "arguments": {"expression": expression}}}
