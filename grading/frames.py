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
_HASHES = re.compile(r"^[ \t]*####(?!#)[ \t]*([^\n]*)", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]*([^\n#]+)\Z", re.MULTILINE)
_VALUE_LINE = re.compile(r"[-+\u2212]?\\?[$€£]?[-+\u2212]?[.\d][\d,./]*(?:\s?\\?%)?(?: [A-Za-z]+){0,2}\.?")
_END_OF_TURN = re.compile(
    r"<\|(?!(?:begin|end)_of_(?:thought|solution))[^|<>\s]{1,40}\|>|</s>|<eos>|<end_of_turn>|<\uff5c[^\uff5c<>\s]{1,40}\uff5c>"
)
_OPENING = re.compile(rf"\A(?:\s*(?:{_END_OF_TURN.pattern}))+(?:[ \t]*assistant[ \t]*\n)?")
"""Control tokens that open a turn, as ``<|im_start|>assistant``."""
_TAG = re.compile(r"<(final_)?answer>", re.IGNORECASE)
_HTML = re.compile(r"</?(?:b|i|em|strong|u|p|span|div|code|mark)>|<br\s?/?>", re.IGNORECASE)
_NEXT_QUESTION = re.compile(
    r"\n\s{0,3}(?:#{1,4} ?|\*\*)?(?:Question|Problem|Q|User|Human|Instruction|问题|题目)(?: ?\d{1,3})?(?:\*\*)? ?[:：]"
)
_ANSWERED = re.compile(
    r"####|\\boxed|(?<!\w)[Aa]nswer(?: is:?|s are:?|:)[ *]*[$]?"
    r"(?:\\|[-\u2212(]*\d|\(?[A-J](?:[).]|\W*$)|(?:[Yy]es|[Nn]o|[Tt]rue|[Ff]alse)\b)",
    re.MULTILINE,
)
ENDS_OF_THOUGHT = (
    "</think>", "</thinking>", "</thought>", "</reasoning>", "</seed:think>", "◁/think▷", "[/THINK]",
    "<|end_of_thought|>", "<|channel|>final<|message|>",
)  # fmt: skip
_SOLUTION = re.compile(r"<\|(?:begin|end)_of_solution\|>")
_CONNECTOR = re.compile(
    r"\s*(?:[,;]?\s*(?:and|or|\\text\{\s*(?:and|or)\s*\}|&)|[,;])\s*(?:\\text\{\s*(?:and|or)\s*\}|and|or)?\s*((?:[A-Za-z](?:_\{?\w+\}?)?|\\[a-z]+)\s*=)?\s*"
)
_NAME_BEFORE = re.compile(r"((?:[A-Za-z](?:_\{?\w+\}?)?|\\[a-z]+)\s*=)\s*(?:\$+|\\\(|\\\[)?\s*$")
_UNIT_BETWEEN = re.compile(r"\$?\s*([A-Za-z]{1,12}),?\s*(?:and)?\s*\$?")
_UNIT_AFTER = re.compile(r"\$?\s*([A-Za-z]{1,12})\b")
_MATH_SIGNS = re.compile(r"\$+|\\[()\[\]]|\\q?quad(?![A-Za-z])|\\[,;! ]")
_KEYS = ("final_answer", "answer", "finalanswer", "final answer", "result", "solution")


def last_word(text: str) -> str:
    """The response without its thinking and without anything after its end of turn."""
    start, length = max((text.rfind(end), len(end)) for end in ENDS_OF_THOUGHT)
    text = _SOLUTION.sub(" ", text[start + length :]) if start >= 0 else text
    text = _END_OF_TURN.split(_OPENING.sub("", text), maxsplit=1)[0]
    return _before_next_question(_HTML.sub(" ", text) if "<" in text else text)


def unfinished_thought(text: str) -> bool:
    return "<think>" in text[:200] and not any(end in text for end in ENDS_OF_THOUGHT)


def _before_next_question(text: str) -> str:
    """Cut off the next question that a base model asks itself after answering."""
    if (following := _NEXT_QUESTION.search(text, 1)) is None:
        return text
    before = text[: following.start()]
    return before if _ANSWERED.search(before) else text


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
            return _in_two_units(text, start, *box) or _joined(text, start, box[0])
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


def _in_two_units(text: str, start: int, last: str, end: int) -> str | None:
    r"""Return ``\boxed{3} hours and \boxed{20} minutes`` as one quantity; None where the last box is no part of one."""
    box = _box_before(text, start)
    larger = _UNIT_BETWEEN.fullmatch(text[box.end : start]) if box else None
    smaller = _UNIT_AFTER.match(text, end)
    if box is None or larger is None or smaller is None:
        return None
    units = [read_unit(f" {word[1]}") for word in (larger, smaller)]
    size = ratio(units[0], units[1]) if units[0] and units[1] else None
    if size is None or size <= 1 or (last.isdecimal() and int(last) >= size):  # 2 hours, which are 120 minutes
        return None
    return f"{box.content} {larger[1]} {last} {smaller[1]}"


def _joined(text: str, start: int, last: str) -> str:
    """Join the boxes that list an answer together with the last one."""
    found, first = [last], start
    names: list[str] = []
    for _ in range(MAX_BOXES):
        box = _box_before(text, first)
        between = _CONNECTOR.fullmatch(_MATH_SIGNS.sub(" ", text[box.end : first])) if box else None
        if box is None or between is None:
            break
        names.append(between[1] or "")
        found.append(box.content)
        first = box.start
    if len(set(found)) == 1:
        return last
    before_first = _NAME_BEFORE.search(text[max(0, first - 30) : first])
    names.append(before_first[1] if before_first else "")
    named = len(set(names)) == len(names) and all(names)
    return ", ".join(name + value if named else value for name, value in zip(names[::-1], found[::-1], strict=True))


def after_hashes(text: str) -> str | None:
    """Return the last ``####`` line that is a value, or the text's last line: elsewhere it is a Markdown heading."""
    heading = _HEADING.search(text.rstrip()[-200:])
    if heading is not None and _VALUE_LINE.fullmatch(heading.group(1).strip()):
        return bare(heading.group(1))
    if "####" not in text:
        return None
    lines = [match for match in _HASHES.finditer(text) if match.group(1).strip()]
    if not lines:
        return None
    last = lines[-1]
    if not text[last.end() :].strip():
        return last.group(1).strip()
    return next((bare(m.group(1)) for m in reversed(lines) if _VALUE_LINE.fullmatch(m.group(1).strip())), None)


def bare(text: str) -> str:
    """Strip what frames a whole answer: blanks, bold, the final full stop, one pair of math signs."""
    plain = text.strip().strip("*").strip()
    plain = plain if plain.endswith(("\\right.", "...")) else plain.rstrip(".。").strip()
    for opening, closing in (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$")):
        inner = between(opening, plain, closing)
        if inner and opening not in inner.replace("\\$", "") and not inner.endswith("\\"):
            return inner.strip()
    return plain
