"""Numbers in English words: ``twelve``, ``one hundred and five``, ``negative twenty-one``."""

import re

from stepforge.schemas.number_words import TENS, UNITS

_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_VALUES = {word: n for n, word in enumerate(UNITS)} | {word: 10 * n for n, word in enumerate(TENS, start=2)}
_TWO_DIGITS = rf"(?:(?:{'|'.join(TENS)})(?:[- ](?:{'|'.join(UNITS[1:10])}))?|{'|'.join(reversed(UNITS[1:]))})"
_HUNDREDS = rf"(?:(?:{_TWO_DIGITS}|a) hundred(?: (?:and )?{_TWO_DIGITS})?|{_TWO_DIGITS})"
_SCALE = rf"(?:{'|'.join(_SCALES)})"
CARDINAL = re.compile(
    rf"(?<![\w-])(?P<sign>(?:negative|minus) )?(?:(?P<zero>zero)|(?P<words>a {_SCALE}"
    rf"|(?:{_HUNDREDS} {_SCALE},? (?:and )?){{0,3}}{_HUNDREDS}(?: {_SCALE})?))(?![\w-])",
    re.IGNORECASE,
)


def read_cardinal(text: str) -> tuple[int, str] | None:
    """Return the number that a text begins with in words, and the rest; None where it begins with none."""
    match = CARDINAL.match(text)
    if match is None:
        return None
    total = group = 0
    for word in re.findall(r"[a-z]+", (match["words"] or "").lower()):
        if word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
        elif word == "hundred":
            group = max(group, 1) * 100
        else:
            group += _VALUES.get(word, 0)
    return (-1 if match["sign"] else 1) * (total + group), text[match.end() :]
