r"""Units, kept apart from variables: ``cm^2``, ``\text{m}/\text{s}``, ``eggs per day``, ``%``, ``元``.

A unit is one text whatever its spelling. Words that change a quantity are no units: ``dozen`` and ``million`` multiply
it, and ``below zero`` leaves it in doubt.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from stepforge.grading.vocabulary import words

_SHORT = words(
    "cm mm km kg mg ml ft in oz lb lbs hr hrs yd mi am pm mb gb tb sq cu of nm kj kw mol hz khz mhz ghz mph kph rpm "
    "bpm wpm ppm psi fps kwh min sec dm cl dl pa kpa ev kn gal pt qt usd eur gbp cad aud rs a.m p.m"
)
_LETTERS = words("m g s h L l")
_CAPITALS = words("J N W V A K C F T")
_NOT_UNITS = words(
    "and or mod pi theta alpha beta gamma phi infinity sqrt root minus plus times over factorial sin cos tan cot "
    "sec csc log exp choose divided to not remainder r equals is are was then than but because since so which"
)
_SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "万": 10**4, "亿": 10**8,
}  # fmt: skip
_SUFFIXES = {"K": 10**3, "k": 10**3, "M": 10**6, "mn": 10**6, "B": 10**9, "bn": 10**9}
PARTS = {
    "half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000,
}  # fmt: skip
_COUNTS = {"dozen": Fraction(12), "score": Fraction(20), "gross": Fraction(144)}
_COUNTS |= {part: Fraction(1, of) for part, of in PARTS.items()}
_TURNED = words("below debt deficit loss negative bc bce overdrawn short")
_SAME_UNIT = {
    "$": "dollar", "usd": "dollar", "buck": "dollar", "¢": "cent", "percent": "%", "percentage": "%", "pct": "%",
    "hr": "hour", "hrs": "hour", "h": "hour", "min": "minute", "sec": "second", "s": "second", "lb": "pound",
    "lbs": "pound", "kg": "kilogram", "g": "gram", "m": "meter", "metre": "meter", "cm": "centimeter", "rs": "rupee",
    "km": "kilometer", "ft": "foot", "feet": "foot", "inch": "in", "inches": "in", "oz": "ounce", "mi": "mile",
    "centimetre": "centimeter", "kilometre": "kilometer", "millimetre": "millimeter", "mm": "millimeter",
    "yd": "yard", "mg": "milligram",
    "l": "liter", "litre": "liter", "ml": "milliliter", "millilitre": "milliliter", "mph": "mile/hour",
    "kph": "kilometer/hour", "deg": "degree", "\\omega": "ohm", "'": "foot", '"': "in",
    "penny": "cent", "pence": "cent",
}  # fmt: skip
_SIZES: dict[str, tuple[str, Fraction]] = {
    name: (measure, Fraction(size))
    for measure, listed in {
        "time": "second 1 minute 60 hour 3600 day 86400 week 604800",
        "calendar": "month 1 year 12 decade 120 century 1200",
        "length": "millimeter 1 centimeter 10 meter 1000 kilometer 1000000",
        "span": "in 1 foot 12 yard 36 mile 63360",
        "mass": "milligram 1 gram 1000 kilogram 1000000",
        "weight": "ounce 1 pound 16 ton 32000",
        "money": "cent 1 nickel 5 dime 10 dollar 100",
        "volume": "milliliter 1 liter 1000",
        "measure": "cup 1 pint 2 quart 4 gallon 16",
    }.items()
    for name, size in zip(listed.split()[::2], listed.split()[1::2], strict=True)
}
_KINDS = {"calendar": "time", "span": "length", "weight": "mass", "measure": "volume"}
_MEASURES = {name: _KINDS.get(kind, kind) for name, (kind, _) in _SIZES.items()}
_MEASURES |= {"degree": "angle", "radian": "angle", "euro": "money"}
_WORD = re.compile(r"[^/^\d ]+")

_TOKEN = re.compile(
    r"\\text\{(?P<text>[^{}]*)\}|(?P<word>[^\W\d_]+(?:\.[a-z]\b)?)|(?P<power>\^\s*\{?\s*(?P<exponent>-?\d)\s*\}?)|(?P<per>/)"
    r"|(?P<sign>%|¢|\\Omega(?![A-Za-z])|\\mu(?![A-Za-z])|['\"])|(?P<skip>[\s*.\-]|\\cdot(?![A-Za-z]))"
)
_MILLI = re.compile(r"m(?:[ACFJNTVW]|Hz|Pa)")
"""Units of which a capital M means a million."""
_GREEK = frozenset("alpha gamma delta epsilon theta kappa lambda sigma upsilon omega omicron".split())
_PER = ("per", "a", "an", "each")
_RAISED_LETTER = re.compile(r"[A-Za-ln-z]\s*\^.*", re.DOTALL)
"""A letter with a power is a variable, but for the meter."""
_BASE = re.compile(r"\s*_\{?(\d{1,2})\}?\s*", re.ASCII)
_TRAILING = re.compile(
    r"((?:[\s*/%]|\\cdot(?![A-Za-z])|\\mu(?=\s*\\text)|\\text\{[^{}]*\}|\^\s*\{?-?\d\}?(?=\s*(?:\\text|/|$)))*)$"
)
_TRAILING_WORDS = re.compile(r"(?<=[\d})])\s+([A-Za-z]{2,}(?:[ /-][A-Za-z]+){0,5}(?:\^\{?[23]\}?)?)$")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, what it multiplies the number by, and what else the number may have been meant as."""

    name: str = ""
    scale: Fraction = Fraction(1)
    other: Fraction | None = None
    """The scale of the other reading: ``2 dozen`` is 24, or two of something called a dozen."""
    letter: bool = False
    """Whether it may as well be a variable: the ``m`` of ``20m``."""

    @property
    def measure(self) -> str | None:
        """What it measures, as ``length`` or ``length/time``: units of one measure convert into each other."""
        if not all(word in _MEASURES for word in _WORD.findall(self.name) or [""]):
            return None
        return _WORD.sub(lambda word: _MEASURES[word[0]], self.name).replace("length^3", "volume")


def ratio(one: Unit, other: Unit) -> Fraction | None:
    """Return how many of the other unit one is; None where they do not convert exactly."""
    left, right = _SIZES.get(one.name), _SIZES.get(other.name)
    return left[1] / right[1] if left and right and left[0] == right[0] else None


def read_unit(text: str) -> Unit | None:
    """Return the unit that follows a number; None where the text is no unit but more mathematics."""
    if (base := _BASE.fullmatch(text)) is not None:
        return Unit(f"base {base[1]}")
    if (words := _words_of(text)) is None or _RAISED_LETTER.fullmatch(text):
        return None
    scale = Fraction(1)
    other: Fraction | None = None
    if words and words[0][0] in _SUFFIXES and not text.startswith((" ", "\\")):
        scale *= _SUFFIXES[words.pop(0)[0]]
    else:
        while words and words[0][0] in _SCALES:
            scale *= _SCALES[words.pop(0)[0]]
    if words and words[0][0] in _COUNTS:
        other, scale = scale, scale * _COUNTS[words.pop(0)[0]]
    if words and words[0][0] in ("squared", "cubed"):
        return None
    if any(word in _TURNED for word, _ in words):
        return Unit("turned", scale, -scale)
    return Unit(_name(words), scale, other, letter=re.fullmatch(r"\s*[A-Za-z]\s*", text) is not None)


def split_unit(text: str) -> tuple[str, str]:
    r"""Split a formula from the unit that ends it: ``18\pi\text{ cm}^2`` into ``18\pi`` and the unit's text."""
    end = _TRAILING.search(text)
    start = end.start() if end is not None else len(text)
    body = text[:start]
    if "\\text" in text[start:] or "%" in text[start:]:
        return body.rstrip(), text[start:]
    words = _TRAILING_WORDS.search(text)
    return (text[: words.start()], words.group()) if words is not None else (text, "")


def _words_of(text: str, *, written: bool = False) -> list[tuple[str, int]] | None:
    """Return the words of a unit, singular and in one spelling, with their powers; None where one is no unit.

    ``written``: it is marked as text, where any word may name a unit, and other signs mean nothing.
    """
    if written and any(word.lower() in _NOT_UNITS for word in re.findall(r"[A-Za-z]+", text)):
        return None
    found: list[tuple[str, int]] = []
    position, sign, raised = 0, 1, 0
    spaced = text.startswith((" ", "\\"))
    while position < len(text):
        match = _TOKEN.match(text, position)
        if (match is None or len(found) > 12) and not written:
            return None
        position = match.end() if match else position + 1
        word = match["word"] or match["sign"] if match else None
        if match is None or (written and word in ("'", '"')):
            continue
        if match["text"] is not None:
            if (inner := _words_of(match["text"], written=True)) is None:
                return None
            found += [(word, power * sign) for word, power in inner]
        elif match["power"] is not None:
            if not found and not written:
                return None
            found[-1:] = [(word, power * int(match["exponent"])) for word, power in found[-1:]]
        elif match["per"] or (word in _PER and (found or written or text[position:].strip().isalpha())):
            sign = -1 if found or not written else 1
        elif word is not None:
            known = written or word == match["sign"] or _is_unit(word, spaced=spaced or bool(found) or sign < 0)
            if not known or (word == "%" and found and not written):
                return None
            raised = _append(found, word, sign, raised)
    return found


def _append(found: list[tuple[str, int]], word: str, sign: int, raised: int) -> int:
    """Add a word of a unit; return the power that it gives to the next one."""
    lower = word.lower()
    if lower in ("squared", "cubed") and found:
        found[-1] = (found[-1][0], found[-1][1] * (2 if lower == "squared" else 3))
    elif lower in ("square", "sq", "cubic", "cu"):
        return 3 if lower.startswith("cu") else 2
    else:
        found.append((_singular(word), sign * (raised or 1)))
    return 0


def _is_unit(word: str, *, spaced: bool) -> bool:
    """Tell a unit from a product of variables: ``2 xy`` is no number with a unit, ``2 boxes`` is."""
    if word.lower() in _NOT_UNITS:
        return False
    known = word in _LETTERS or word.lower() in _SHORT or word in _SUFFIXES or _singular(word) in _SIZES
    if known or not word.isascii():
        return True
    return (spaced or (len(word) > 4 and word.lower() not in _GREEK)) and (
        word in _CAPITALS or (len(word) >= 3 and any(c in "aeiouyAEIOUY" for c in word))
    )


def _singular(word: str) -> str:
    if _MILLI.fullmatch(word):
        return f"milli{word[1:].lower()}"
    lower = word.lower()
    single = lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower
    single = single[:-1] if single != lower and single.endswith(("xe", "che", "she", "sse")) else single
    return word if word in _SUFFIXES else _SAME_UNIT.get(lower, _SAME_UNIT.get(single, single))


def _name(words: list[tuple[str, int]]) -> str:
    """Join the words: adjacent nouns of one power are one name, and the powers follow."""
    above = [word + (f"^{power}" if power > 1 else "") for word, power in words if power > 0]
    below = [word + (f"^{-power}" if power < -1 else "") for word, power in words if power < 0]
    return " ".join(above) + ("/" + " ".join(below) if below else "")
