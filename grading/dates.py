"""Dates: ``July 4, 1776``, ``4 July``, ``2024-03-01``, ``March 2024``."""

import re

from stepforge.schemas.rollout import Outcome

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_WEEKDAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?\.?,? )?"
_DAY = r"(?:the )?\d{1,2}(?:st|nd|rd|th)?\b"
_YEAR = r"(?:,? (?:1\d|20)\d\d)"
DATE = re.compile(
    rf"\b{_WEEKDAY}(?:{_MONTH} {_DAY}{_YEAR}?|{_DAY} (?:of )?{_MONTH}{_YEAR}?|{_MONTH}{_YEAR}"
    r"|(?:1\d|20)\d\d-\d\d-\d\d)(?![\w:%/])",
    re.ASCII,
)


def same_date(gold: str, answer: str) -> Outcome | None:
    """Return whether two texts are one date; None where one of them is no date. What only one says is left open."""
    one, other = _read(gold), _read(answer)
    if one is None or other is None:
        return None
    if one == other:
        return "correct"
    differ = any(a != b for a, b in zip(one, other, strict=True) if a is not None and b is not None)
    return "wrong" if differ else "undetermined"


def _read(text: str) -> tuple[int | None, ...] | None:
    """Return year, month and day; None for what is not said."""
    if not DATE.fullmatch(text.strip()):
        return None
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    if not re.search("[A-Za-z]", text):
        return tuple(numbers)
    month = re.search(_MONTH, text)
    year, day = ([n for n in numbers if (n > 31) == is_year] for is_year in (True, False))
    if month is None:
        return None
    return year[0] if year else None, _MONTHS.index(month[0][:3].lower()) + 1, day[0] if day else None
