r"""Answers in a frame: ``\boxed{...}`` (MATH), ``#### ...`` (GSM8K), ``<answer>`` tags and JSON; and where a text ends.

Linear in the text's length.
"""

import json
import re
from typing import NamedTuple

from stepforge.grading.spelling import between
from stepforge.grading.units import ratio, read_unit

MAX_ANSWER = 2000
"""Longest answer returned, in characters; a longer one is cut just past it, and no grader accepts it."""
MAX_JSON = 20_000
"""Longest text that is read as JSON, in characters."""
MAX_BOXES = 12
"""Most boxes that are looked at, from the end."""

_BOX = re.compile(r"\\f?box(?:ed)?(?![A-Za-z])[ \t]*(?:(\{)|([^\s{}\\$A-Za-z]+|\\[A-Za-z]+|[A-Za-z](?![A-Za-z])))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"^[ \t]*(#{1,6})(?!#)([^\n]*)", re.MULTILINE)
_VALUE_LINE = re.compile(r"[-+\u2212]?\\?[$€£]?[-+\u2212]?[.\d][\d,./]*(?:\s?\\?%)?(?: [A-Za-z]+){0,2}\.?")
_END_OF_TURN = re.compile(r"<\|[^|<>\s]{1,40}\|>|</s>|<eos>|<end_of_turn>|<\uff5c[^\uff5c<>\s]{1,40}\uff5c>")
_OPENING = re.compile(rf"\A(?:\s*(?:{_END_OF_TURN.pattern}))+(?:[ \t]*assistant[ \t]*\n)?")
"""Control tokens that open a turn, as ``<|im_start|>assistant``."""
_TAG = re.compile(r"<(final_)?answer>", re.IGNORECASE)
_HTML = re.compile(r"</?(?:b|i|em|strong|u|p|span|div|code|mark)>|<br\s?/?>", re.IGNORECASE)
ENDS_OF_THOUGHT = (
    "</think>", "</thinking>", "</thought>", "</reasoning>", "</seed:think>", "◁/think▷", "[/THINK]",
    "<|end_of_thought|>", "<|begin_of_solution|>", "<|channel|>final<|message|>",
)  # fmt: skip
_NAME = r"(?:[A-Za-z](?:_\{?\w+\}?)?|\\[a-z]+)\s*="
_AND = r"(?:and|or|\\text\{\s*(?:and|or)\s*\})"
_CONNECTOR = re.compile(
    rf"\s*(?P<unit>[A-Za-z]{{1,12}}\b)??\s*(?P<sign>[,;&]\s*{_AND}?|{_AND})?\s*(?P<name>{_NAME})?\s*"
)
_NAME_BEFORE = re.compile(rf"{_NAME}(?=\s*(?:\$+|\\\(|\\\[)?\s*$)")
_UNIT_AFTER = re.compile(r"\$?\s*([A-Za-z]{1,12})\b")
_MATH_SIGNS = re.compile(r"\$+|\\[()\[\]]|\\q?quad(?![A-Za-z])|\\[,;! ]")
_KEYS = ("final_answer", "answer", "finalanswer", "final answer", "result", "solution")


def last_word(text: str) -> str:
    """The response without its thinking and without anything after its end of turn."""
    start, length = max((text.rfind(end), len(end)) for end in ENDS_OF_THOUGHT)
    text = _OPENING.sub("", text[start + length :] if start >= 0 else text)
    text = _END_OF_TURN.split(text, maxsplit=1)[0]
    return _HTML.sub(" ", text) if "<" in text else text


def unfinished_thought(text: str) -> bool:
    return "<think>" in text[:200] and not any(end in text for end in ENDS_OF_THOUGHT)


def tagged(text: str) -> str | None:
    if "<" not in text or not (openings := list(_TAG.finditer(text))):
        return None
    return text[openings[-1].end() :].partition("</")[0].strip()


def in_json(text: str) -> str | None:
    """Return the answer that a JSON object names, where the text is one or ends with one."""
    body = text.strip().removesuffix("```").strip()
    start = body.rfind("\n{") + 1 if not body.startswith(("{", "```")) else body.find("{")
    if not body.endswith("}") or start < 0 or len(body) - start > MAX_JSON or body[start : start + 1] != "{":
        return None
    try:
        found = json.loads(body[start:], parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    keys = {str(key).casefold(): value for key, value in found.items()} if isinstance(found, dict) else {}
    value = next((keys[key] for key in _KEYS if key in keys), None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if value is None or isinstance(value, dict) else str(value).strip()


class _Box(NamedTuple):
    start: int
    content: str
    end: int


def boxed(text: str) -> str | None:
    r"""The content of the last box; of several boxes joined by commas, "and" or "or", all of them.

    Empty where the last box is not closed: the text was cut off over its answer.
    """
    end = len(text)
    for _ in range(MAX_BOXES):
        start = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
        if start < 0:
            return None
        if (box := _content(text, start)) is None:
            return ""
        if box[0]:
            return _joined(text, start, *box)
        end = start
    return None


def _content(text: str, start: int, limit: int | None = None) -> tuple[str, int] | None:
    """The content of a box and where it ends; empty for the mere word, None where it is not closed."""
    if (box := _BOX.match(text, start)) is None:
        return "", start
    if box.group(1) is None:  # \boxed 5
        return box.group(2), box.end()
    depth = 1
    for brace in _BRACE.finditer(text, box.end(), limit if limit is not None else len(text)):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return bare(text[box.end() : brace.start()]), brace.end()
    return None


def _box_before(text: str, end: int) -> _Box | None:
    """Return the last box near before a place; None where none is, or nothing is in it."""
    start = text.rfind("\\boxed", max(0, end - MAX_ANSWER), end)
    box = _content(text, start, end) if start >= 0 else None
    return _Box(start, *box) if box and box[0] else None


def _joined(text: str, start: int, last: str, end: int) -> str:
    """Join the last box with those before it that list an answer, or give it in two units: ``3 hours, 20 minutes``."""
    after = _UNIT_AFTER.match(text, end)
    found, first, unit = [last], start, after[1] if after else ""
    for _ in range(MAX_BOXES):
        box = _box_before(text, first)
        link = _CONNECTOR.fullmatch(" ".join(_MATH_SIGNS.sub(" ", text[box.end : first]).split())) if box else None
        if box is None or link is None or not (link["sign"] or link["unit"]):
            break
        if link["unit"]:
            if link["name"] or not _is_rest(found[-1], unit, link["unit"]):
                break
            found[-1] = f"{found[-1]} {unit}" if len(found) == 1 else found[-1]
            unit = link["unit"]
        found[-1] = (link["name"] or "") + found[-1]
        found.append(f"{box.content} {link['unit']}" if link["unit"] else box.content)
        first = box.start
    if len(set(found)) == 1:
        return last
    named = _NAME_BEFORE.search(text[max(0, first - 30) : first])
    return (named[0] if named else "") + ", ".join(reversed(found))


def _is_rest(number: str, unit: str, larger: str) -> bool:
    """Whether a number of one unit may come after a larger unit: 2 hours and 20 minutes, not the 120 that they are."""
    units = [read_unit(f" {word}") if word else None for word in (larger, unit)]
    size = ratio(units[0], units[1]) if units[0] and units[1] else None
    digits = number.partition(" ")[0]
    return size is not None and size > 1 and not (digits.isdecimal() and int(digits) >= size)


def after_hashes(text: str) -> str | None:
    """Return the last ``####`` line that is a value or ends the text, or a value that any heading at its end is."""
    end = len(text.rstrip())
    for match in reversed([match for match in _HASHES.finditer(text) if not match[2].isspace()]):
        found, four, ends = match[2].strip(), match[1] == "####", match.end() >= end
        if (four or ends) and _VALUE_LINE.fullmatch(found):
            return bare(found)
        if four and ends:
            return found or None
    return None


def bare(text: str) -> str:
    """Strip what frames a whole answer: blanks, bold, the final full stop, one pair of math signs."""
    plain = text.strip().strip("*").strip()
    plain = plain if plain.endswith(("\\right.", "...")) else plain.rstrip(".。").strip()
    for opening, closing in (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$")):
        inner = between(opening, plain, closing)
        if inner and opening not in inner.replace("\\$", "") and not inner.endswith("\\"):
            return inner.strip()
    return plain
