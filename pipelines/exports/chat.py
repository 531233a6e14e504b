"""Policy rows as conversations, so any model family can train on them with its own chat template.

With ``chat = true`` a row omits the policy's own prompt and chat template. Answers are whole: a chat template closes
each turn, and a turn closed after a single step would teach the model to stop there. Reasoning goes into the consumer's
field, and a tool's answers are separate turns.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import ClassVar, Literal, TypeAlias

from pydantic import create_model

from stepforge.grading.calls import OPEN, pending_call
from stepforge.pipelines.exports.contract import Export, Turn
from stepforge.schemas.labeled import LabeledProblem
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
Layout = Literal["trl", "llama_factory", "ms_swift", "nemo_rl"]
Answers = Literal["one", "two", "masked"]
"""One answer; a better and a worse one; or one whose first turn carries no loss."""
TASK_NAME = "stepforge"
TEXTS = frozenset(("prompt", "completion", "chosen", "rejected", "full_chosen", "full_rejected"))
"""Columns of the plain rows that the conversations replace."""


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
            call = {"type": "function", "function": {"name": CALCULATOR, "arguments": {"expression": called}}}
            yield {**turn("assistant", text.rpartition(OPEN)[0], reasoning), "tool_calls": [call]}
        elif author == "tool":
            yield turn("tool", text.removeprefix(" = ").removesuffix("\n") if calls else text, reasoning)
        else:
            yield turn("assistant", text, reasoning)


class Chat(Export):
    answers: ClassVar[Answers]
    chat: bool = False
    """Whether rows are conversations. They contain no chat template: the trainer applies the model's own."""
    layout: Layout = "trl"
    """With ``chat``: the consumer whose columns the rows have. OpenRLHF and axolotl read TRL's; for single answers,
    verl, prime-rl and axolotl read ``messages``, which the other three have."""
    reasoning: Reasoning = "think"
    """With ``chat``: where the text before ``</think>`` goes: into the content, or into a field of that name."""
    tools: bool = False
    """With ``chat``: whether calls of the calculator become ``tool_calls``, with a column ``tools`` that describes it.
    Otherwise they stay in the text. Either way its answers are turns of role ``tool``, without loss."""
    user: str = "{question}"
    """With ``chat``: the user turn's text; ``{question}`` is replaced by the question."""
    system: str | None = None
    """With ``chat``: the system turn."""

    @property
    def row_class(self) -> type[Record]:
        if not self.chat:
            return self.row
        return _chat_row(self.row, self.answers, self.layout, turn_class(self.reasoning, calls=self.tools))

    def laid_out(self, plain: Record, problem: LabeledProblem, *answers: tuple[Step, ...]) -> Iterator[Record]:
        """Yield a row in the configured form: the plain one, or a conversation of the question and the answers."""
        if not self.chat:
            yield plain
            return
        asked = self.asking(problem)
        spoken = [list(said(steps, self.reasoning, calls=self.tools)) for steps in answers]
        if self.answers == "two" and self.layout == "llama_factory" and any(len(turns) > 1 for turns in spoken):
            return  # its pairs are single turns
        columns = _columns(self.answers, self.layout, asked, spoken)
        kept = {name: value for name, value in plain if name not in TEXTS}
        if self.tools:
            called = any(step.author == "tool" for steps in answers for step in steps)
            kept["tools"] = TOOLS if called else None
        yield self.row_class.model_validate({**columns, **kept})

    def asking(self, problem: LabeledProblem) -> list[ChatTurn]:
        question = problem.problem.question.strip()
        user = turn("user", self.user.replace("{question}", question), self.reasoning)
        return [user] if self.system is None else [turn("system", self.system, self.reasoning), user]


def _columns(
    answers: Answers, layout: Layout, asked: list[ChatTurn], spoken: Sequence[list[ChatTurn]]
) -> Mapping[str, object]:
    if answers == "masked":
        learned = [{**turn, "loss": i == len(spoken) - 1} for i, turns in enumerate(spoken) for turn in turns]
        return {"messages": [*({**turn, "loss": False} for turn in asked), *learned]}
    good, *worse = spoken
    if answers == "one":
        return {"prompt": asked, "completion": good} if layout == "trl" else {"messages": asked + good}
    (bad,) = worse
    ranked = [{"rank": rank, "completion": turns} for rank, turns in enumerate((good, bad))]
    layouts: Mapping[Layout, Mapping[str, object]] = {
        "trl": {"prompt": asked, "chosen": good, "rejected": bad},
        "llama_factory": {"prompt": asked, "chosen": good[0], "rejected": bad[0]},
        "ms_swift": {"messages": asked + good, "rejected_messages": asked + bad},
        "nemo_rl": {"context": asked, "completions": ranked, "task_name": TASK_NAME},
    }
    return layouts[layout]


@cache
def _chat_row(plain: type[Record], answers: Answers, layout: Layout, one: type[Turn]) -> type[Record]:
    columns = {**_kinds(answers, layout, one), **({"tools": str | None} if "tool_calls" in one.model_fields else {})}
    columns |= {name: field.annotation for name, field in plain.model_fields.items() if name not in TEXTS}
    required = {name: (kind, ...) for name, kind in columns.items()}
    made: type[Record] = create_model(f"Chat{plain.__name__}", __base__=Record, **required)  # type: ignore[call-overload]
    return made


def _kinds(answers: Answers, layout: Layout, one: type[Turn]) -> dict[str, object]:
    turns = tuple[one, ...]  # type: ignore[valid-type]
    if answers == "masked":
        return {"messages": tuple[create_model("LossTurn", __base__=one, loss=(bool, ...)), ...]}  # type: ignore[misc]
    if answers == "one":
        return {"prompt": turns, "completion": turns} if layout == "trl" else {"messages": turns}
    ranked = create_model("Ranked", __base__=Record, rank=(int, ...), completion=(turns, ...))
    layouts: dict[Layout, dict[str, object]] = {
        "trl": {"prompt": turns, "chosen": turns, "rejected": turns},
        "llama_factory": {"prompt": turns, "chosen": one, "rejected": one},
        "ms_swift": {"messages": turns, "rejected_messages": turns},
        "nemo_rl": {"context": turns, "completions": tuple[ranked, ...], "task_name": str},
    }
    return layouts[layout]
