"""Numbers in English words: ``twelve``, ``one hundred and five``, ``negative twenty-one``; and arithmetic in words."""

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


_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
VALUES = {word: n for n, word in enumerate(UNITS)} | {word: 10 * n for n, word in enumerate(TENS, start=2)}
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
    if (match := CARDINAL.match(text)) is None:
        return None
    total = group = 0
    for word in re.findall(r"[a-z]+", (match["words"] or "").lower()):
        if word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
        elif word == "hundred":
            group = max(group, 1) * 100
        else:
            group += VALUES.get(word, 0)
    return (-1 if match["sign"] else 1) * (total + group), text[match.end() :]
