"""Finding the final answer in a solution's text, in linear time.

Four spellings are known, tried in this order: ``\boxed{...}`` (MATH), ``#### ...`` (GSM8K), ``Answer: ...``, and
``the answer is ...``. The last occurrence of the first spelling found counts.
"""

import re

MAX_ANSWER = 2000
"""Longest answer returned, in characters; a longer one is cut here, and no grader accepts it."""

_HASHES = "####"
_ANSWER_LINE = re.compile(r"(?:^|\n)[ \t]*(?:final )?answer[ \t]*[:=][ \t]*([^\n]*)", re.IGNORECASE)
_ANSWER_IS = re.compile(r"\banswer is:?[ \t]*([^\n]*)", re.IGNORECASE)


def extract_answer(text: str) -> str | None:
    """Return the final answer as written, without its frame; None where the text states none."""
    for find in (_boxed, _after_hashes, _answer_line, _answer_is):
        found = find(text)
        if found:
            return found[: MAX_ANSWER + 1]
    return None


def _boxed(text: str) -> str | None:
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if start < 0:
        return None
    opening = text.index("{", start)
    depth = 0
    for position in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[opening + 1 : position].strip()
    return None


def _after_hashes(text: str) -> str | None:
    start = text.rfind(_HASHES)
    return None if start < 0 else text[start + len(_HASHES) :].strip().split("\n")[0].strip()


def _answer_line(text: str) -> str | None:
    return _last(_ANSWER_LINE, text)


def _answer_is(text: str) -> str | None:
    found = _last(_ANSWER_IS, text)
    return None if found is None else found.rstrip(".").strip()


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    match = None
    for match in pattern.finditer(text):
        pass
    return None if match is None else match.group(1).strip()
