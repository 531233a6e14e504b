"""Whole numbers and arithmetic in words: ``seven plus twenty-one`` for ``7 + 21``."""

import re

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

_TENS = re.compile(rf"\b({'|'.join(TENS)})(?:-({'|'.join(UNITS[1:10])}))?\b", re.IGNORECASE)
_NOT_COUNTED = "side|of|more|way|by|after|step|another|who|that|thing|last"
_UNITS = re.compile(
    rf"(?<!\bthe )(?<!\blast )(?<!\bthese )(?<!\bthose )\b(?:({'|'.join(sorted(UNITS, key=len, reverse=True))})\b)"
    rf"(?<!one(?=\s+(?:{_NOT_COUNTED})\b))",
    re.IGNORECASE,
)
"""Not "one side" or "the last two", which name no number."""
_OPERATORS = [
    (re.compile(r"\bplus\b", re.IGNORECASE), "+"),
    (re.compile(r"\bminus\b", re.IGNORECASE), "-"),
    (re.compile(r"(?<=[\d)])\s+times\s+(?=[\d(])", re.IGNORECASE), " * "),
    (re.compile(r"\bmultiplied by\b", re.IGNORECASE), "*"),
    (re.compile(r"\bdivided by\b", re.IGNORECASE), "/"),
    (re.compile(r"\bmodulo\b", re.IGNORECASE), "mod"),
]

_SPOKEN = frozenset((*UNITS, *TENS, "plus", "minus", "times", "multiplied", "divided", "modulo"))


def in_digits(text: str) -> str:
    """Return a text with number words and spoken operators between numbers as digits and signs."""
    if _SPOKEN.isdisjoint(re.findall(r"[a-z]+", text.lower())):
        return text
    digits = _TENS.sub(lambda m: str(20 + 10 * TENS.index(m[1].lower()) + (_unit(m[2]) if m[2] else 0)), text)
    digits = _UNITS.sub(lambda m: str(_unit(m[1])), digits)
    for pattern, sign in _OPERATORS:
        digits = pattern.sub(sign, digits)
    return digits


def _unit(word: str) -> int:
    return UNITS.index(word.lower())
