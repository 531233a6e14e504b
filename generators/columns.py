"""Columns by name, also inside objects and lists; and the texts in a column of chat messages."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeGuard

from stepforge.schemas.errors import BadInput

OTHER_NAMES = {
    "question": ("problem", "prompt", "query", "input", "instruction", "messages"),
    "answer": ("final_answer", "expected_answer", "reward_model.ground_truth", "ground_truth", "target", "solution"),
}
"""Usual column names, for a suggestion when one is missing."""
_ASKING = ("user", "human")
_ANSWERING = ("assistant", "gpt", "model")


def lookup(row: Mapping[str, object], name: str) -> object:
    """Return the value of a column, None if it is missing.

    ``reward_model.ground_truth`` is a key inside an object. Inside a list, a number is a position, and any other name
    is looked up in each item: ``label.steps.text`` is a list of texts.
    """
    return row[name] if name in row else _inside(row, name.split("."))


def _inside(value: object, names: Sequence[str]) -> object:
    if not names:
        return value
    if isinstance(value, Mapping):
        return _inside(value.get(names[0]), names[1:])
    if isinstance(value, list | tuple):
        if not names[0].isdecimal():
            return [_inside(item, names) for item in value]
        return _inside(value[int(names[0])], names[1:]) if int(names[0]) < len(value) else None
    return None


def stored_under(name: str, columns: Iterable[str]) -> str:
    """Return the column of a table that holds what a name stands for."""
    return name if name in columns else name.partition(".")[0]


def check_columns(columns: Mapping[str, str], there: Iterable[str], source: str) -> None:
    """Check that every column (field to column) exists.

    Raises:
        BadInput: one is missing; names the file, the existing columns and the likeliest one.
    """
    present = list(dict.fromkeys(there))
    for field, column in columns.items():
        if stored_under(column, present) not in present:
            listed = ", ".join(present[:30]) or "none"
            raise BadInput(
                f"{source}: no column {column!r} for {field}; there are: {listed}; {hint(field, column, present)}"
            )


def hint(field: str, column: str, columns: Sequence[str]) -> str:
    alike = get_close_matches(column, columns, n=1, cutoff=0.75) or [
        name for name in OTHER_NAMES.get(field, ()) if name != column and stored_under(name, columns) in columns
    ]
    return f'did you mean {field} = "{alike[0]}"?' if alike else f"set {field} to the right one"


def is_chat(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return isinstance(value, list | tuple) and bool(value) and all(_role(turn) for turn in value)


def asked_in(messages: object) -> object:
    """Return the text of the only user turn; a value that is no list of messages is returned as it is.

    Raises:
        ValueError: there is none, there are several, or it holds more than text.
    """
    if not is_chat(messages):
        return messages
    turns = _turns(messages, _ASKING)
    if len(turns) != 1:
        raise ValueError(f"has {len(turns)} user turns; a question is exactly one")
    return turns[0]


def answered_in(messages: object) -> object:
    """Return the text of the last assistant turn, None where there is none; anything else as it is.

    Raises:
        ValueError: it holds more than text.
    """
    if not is_chat(messages):
        return messages
    turns = _turns(messages, _ANSWERING)
    return turns[-1] if turns else None


def as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _role(turn: object) -> str:
    role = (turn.get("role") or turn.get("from")) if isinstance(turn, Mapping) else None
    return role if isinstance(role, str) else ""


def _turns(messages: Sequence[Mapping[str, object]], roles: Sequence[str]) -> list[str]:
    return [_content(turn.get("content", turn.get("value"))) for turn in messages if _role(turn) in roles]


def _content(content: object) -> str:
    parts = content if isinstance(content, list | tuple) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("holds a turn that is more than text; only texts can be read")
    return "".join(map(str, texts))
