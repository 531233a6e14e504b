"""The values of one row, read strictly: a usable value, None if there is none, or a `BadInput` with its location."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, NoReturn

from stepforge.grading.final_answer import reference_answer
from stepforge.grading.frames import MAX_ANSWER
from stepforge.schemas.errors import BadInput

MAX_TEXT = 1_000_000
"""Longest text read, in characters."""
MAX_LABEL = 300
"""Longest id, domain or group, in characters."""
MAX_STEPS = 10_000

_LEVEL = re.compile(r"(?:level\s*)?(-?[0-9]{1,9})", re.IGNORECASE)
_UNKNOWN_LEVEL = re.compile(r"(?:level\s*)?\?", re.IGNORECASE)
"""MATH has a few rows of ``Level ?``."""


class Cells(NamedTuple):
    """A row seen through the column names of a problem set."""

    columns: Mapping[str, str]
    """Field to column."""
    row: Mapping[str, object]
    where: str

    def bad(self, field: str, what: str) -> NoReturn:
        raise BadInput(f"{self.where}, {field} (column {self.columns.get(field, field)!r}): {what}")

    def value(self, field: str) -> object:
        """Return the value as it is; None where the column, the value or its text is missing."""
        column = self.columns.get(field)
        value = None if column is None else self.row.get(column)
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            self.bad(field, f"{value} is not a value; leave it empty where it is unknown")
        return None if isinstance(value, str) and not value.strip() else value

    def text(self, field: str) -> str | None:
        value = self.value(field)
        return None if value is None else self._sound(field, value)

    def required_text(self, field: str) -> str:
        if (text := self.text(field)) is None:
            self.bad(field, "is missing or empty; fill it in or remove the row")
        return text

    def label(self, field: str) -> str | None:
        """Return a short text or whole number as text."""
        if (value := self.value(field)) is None:
            return None
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else self._sound(field, value)
        if len(text) > MAX_LABEL or not text.isprintable():
            self.bad(field, f"is over {MAX_LABEL} characters or has unprintable ones; shorten it")
        return text

    def identifier(self) -> str:
        if (label := self.label("id")) is None:
            self.bad("id", "is missing or empty; fill it in, or leave `id` out to name rows by their question")
        return label

    def answer(self) -> str | None:
        """Return the reference answer: from a frame such as ``#### ...``, or unchanged if it is only an answer."""
        if (value := self.value("answer")) is None:
            return None
        text = _number_text(value) or self._sound("answer", value).strip()
        if (found := reference_answer(text)) is None:
            framed = any(frame in text for frame in ("####", "\\boxed", "\\fbox"))
            what = "has a #### or \\boxed without an answer in it" if framed else "is a text that frames no answer"
            self.bad("answer", f"{what}; write the answer alone")
        if len(found) > MAX_ANSWER:
            self.bad("answer", f"is over {MAX_ANSWER} characters; name the column of the final answer")
        return found

    def difficulty(self) -> int | None:
        value = self.value("difficulty")
        if value is None or (isinstance(value, str) and _UNKNOWN_LEVEL.fullmatch(value.strip())):
            return None
        text = _number_text(value) or (value.strip()[:100] if isinstance(value, str) else "")
        if (level := _LEVEL.fullmatch(text)) is None:
            self.bad("difficulty", f"{repr(value)[:60]} is not a whole number such as 3 or Level 3")
        return int(level[1])

    def steps(self) -> tuple[str, ...]:
        if (value := self.value("steps")) is None:
            return ()
        if not isinstance(value, list | tuple):
            self.bad("steps", f"is {_kind(value)}, not a list of texts; name a column of text `solution` instead")
        if not value or len(value) > MAX_STEPS:
            self.bad("steps", f"has {len(value)} steps; give 1 to {MAX_STEPS}, or null where there is no solution")
        for position, step in enumerate(value):
            if not isinstance(step, str) or not step.strip():
                shown = "empty" if isinstance(step, str) else _kind(step)
                self.bad("steps", f"step {position} is {shown}; every step must be a nonempty text")
        return tuple(self._sound("steps", step) for step in value)

    def _sound(self, field: str, value: object) -> str:
        if not isinstance(value, str):
            self.bad(field, f"is {_kind(value)}, not text; store it as text")
        if len(value) > MAX_TEXT:
            self.bad(field, f"is over {MAX_TEXT:,} characters; shorten it or remove the row")
        if "\0" in value:
            self.bad(field, "has a NUL character; remove it")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            self.bad(field, f"character {error.start} is half a surrogate pair; write the text as valid Unicode")
        return value


def _number_text(value: object) -> str:
    """Return a number as text, without an exponent and a whole one without a point; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return ""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object", str: "a text"}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"of type {type(value).__name__}")
