"""Solutions as chat turns: reasoning in the field that a consumer reads, a tool's answers in turns of their own."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

from stepforge.pipelines.exports.rows import Turn
from stepforge.schemas.rollout import Step

Reasoning = Literal["think", "reasoning_content", "thinking"]
THINK, END_OF_THOUGHT = "<think>", "</think>"


class ReasoningTurn(Turn):
    """A turn with its reasoning where OpenAI-compatible servers put it."""

    reasoning_content: str | None


class ThinkingTurn(Turn):
    """A turn with its reasoning where TRL documents it (Harmony)."""

    thinking: str | None


TURNS: dict[Reasoning, type[Turn]] = {"think": Turn, "reasoning_content": ReasoningTurn, "thinking": ThinkingTurn}


def turn(role: str, text: str, reasoning: Reasoning) -> dict[str, Any]:
    """Return a turn; ``think`` keeps reasoning inside the content, between its two tags."""
    before, end, after = text.partition(END_OF_THOUGHT) if role == "assistant" else ("", "", text)
    if not end:
        fields = {} if reasoning == "think" else {reasoning: None}
        return {"role": role, "content": text, **fields}
    opened = before.lstrip()
    if reasoning == "think":  # some chat templates write the opening tag themselves, so the policy does not
        return {"role": role, "content": text if opened.startswith(THINK) else f"{THINK}\n{text}"}
    return {"role": role, "content": after.lstrip("\n"), reasoning: opened.removeprefix(THINK).strip("\n")}


def said(steps: Sequence[Step], reasoning: Reasoning) -> Iterator[dict[str, Any]]:
    """Yield the assistant's turns, and between them what tools answered."""
    for author, written in groupby(steps, key=lambda step: getattr(step, "author", "policy")):
        text = "".join(step.text for step in written)
        yield turn("tool" if author == "tool" else "assistant", text, reasoning)
