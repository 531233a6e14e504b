r"""Reading an answer that is one number, exactly: ``-7``, ``$1,234.50``, ``18 dollars``, ``40%``, ``1\frac{4}{5}``.

The whole text must be the number and its unit. A unit is never converted; a percent sign is a unit, so ``100%`` is
100 and not 1. Digits are ASCII, and bounded before any arithmetic.
"""

import re
from dataclasses import dataclass
from fractions import Fraction


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_PLAIN = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<money>\$?)\s*(?P<inner>[-+]?)\s*"
    rf"(?:(?:(?P<whole>\d+)\s*)?\\frac\s*(?:\{{\s*(?P<na>-?\d+)\s*\}}|(?P<nb>\d))\s*"
    rf"(?:\{{\s*(?P<da>\d+)\s*\}}|(?P<db>\d))"
    rf"|(?:(?P<whole2>\d+)\s+)?(?P<n2>\d+)\s*/\s*(?P<d2>\d+)"
    rf"|(?P<plain>{_PLAIN}))"
    rf"(?P<unit>.*)",
    re.ASCII | re.DOTALL,
)
_BASE = re.compile(r"_\{?(\d{1,2})\}?", re.ASCII)
_POWER = re.compile(r"\s*\^\s*\{?\s*([23])\s*\}?\s*$", re.ASCII)
_UNIT_WORDS = re.compile(r"[A-Za-z]+(?:[ /-]{1,2}[A-Za-z]+){0,7}")
_SHORT = _words("cm mm km kg mg ml ft in oz lb lbs hr hrs yd mi am pm mb gb tb sq cu of in")
_SPACED = _words("m g s h L l")
_NOT_UNITS = _words(
    "and or mod pi theta alpha beta gamma phi infinity sqrt root minus plus times over squared cubed factorial "
    "sin cos tan cot sec csc log exp choose divided to not"
)
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SAME_UNIT = {
    "$": "dollar", "usd": "dollar", "buck": "dollar", "¢": "cent", "percent": "%", "percentage": "%", "pct": "%",
    "hr": "hour", "hrs": "hour", "h": "hour", "min": "minute", "sec": "second", "s": "second", "lb": "pound",
    "lbs": "pound", "kg": "kilogram", "g": "gram", "m": "meter", "metre": "meter", "cm": "centimeter",
    "km": "kilometer", "ft": "foot", "feet": "foot", "inch": "in", "inches": "in", "oz": "ounce", "mi": "mile",
}  # fmt: skip

_MEASURES = {
    "time": _words("second minute hour day week month year decade century"),
    "length": _words("millimeter mm centimeter meter kilometer in foot yard yd mile"),
    "mass": _words("mg milligram gram kilogram pound ounce ton"),
    "money": _words("dollar cent penny nickel dime euro"),
    "volume": _words("ml milliliter l liter litre gallon quart pint cup"),
    "angle": _words("degree radian"),
}


@dataclass(frozen=True)
class PlainNumber:
    """An exact value and the unit it was written with, singular and lower case; ``""`` where none was."""

    value: Fraction
    unit: str

    @property
    def percent(self) -> bool:
        """Whether it was written as a percentage."""
        return self.unit == "%"

    @property
    def measure(self) -> str | None:
        """What its unit measures, where units of the same measure convert into each other."""
        first = self.unit.split(" ")[0]
        return next((name for name, units in _MEASURES.items() if first in units), None)

    @property
    def in_base_ten(self) -> int | None:
        """The value of a whole number written with its base, as ``52_8``."""
        kind, _, base = self.unit.partition(" ")
        digits = str(self.value).lstrip("-")
        if kind != "base" or not 2 <= int(base) <= 10 or not digits.isdigit() or int(max(digits)) >= int(base):
            return None
        return int(str(self.value), int(base))


def read_number(text: str) -> PlainNumber | None:
    """Return the number that a cleaned answer is; None where it is anything else or more than one number."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or (match["sign"] and match["inner"]):
        return None
    value = _value(match)
    unit = _unit(match["unit"], spaced=match["unit"].startswith((" ", "\\")))
    if value is None or unit is None:
        return None
    scale, unit = _scaled(unit)
    if match["money"]:
        unit = unit if unit in ("", "dollar") else "dollar " + unit
        unit = unit or "dollar"
    negative = "-" in (match["sign"], match["inner"])
    return PlainNumber(value=(-value if negative else value) * scale, unit=unit)


def _value(match: re.Match[str]) -> Fraction | None:
    if match["plain"] is not None:
        return Fraction(match["plain"].replace(",", "").replace(" ", ""))
    whole = match["whole"] or match["whole2"] or "0"
    top = int(match["na"] or match["nb"] or match["n2"])
    bottom = int(match["da"] or match["db"] or match["d2"])
    if bottom == 0 or (whole != "0" and not 0 <= top < bottom):  # 5\frac{7}{2} is a product, not a mixed number
        return None
    return int(whole) + Fraction(top, bottom)


def _unit(text: str, *, spaced: bool) -> str | None:
    """Return the unit in one spelling, ``""`` for none, None where the text is not a unit but more mathematics."""
    written = "\\text" in text
    body = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip().rstrip(".").strip()
    if not body:
        return ""
    base = _BASE.fullmatch(body)
    if base is not None:
        return "base " + base[1]
    power = _POWER.search(body)
    if power is not None:
        body = body[: power.start()].strip()
    if body.startswith(("%", "¢")):
        rest = _unit(body[1:], spaced=True)
        return None if rest is None else "%" if body[0] == "%" else "cent"
    words = body.replace("/", " ").replace("-", " ").split()
    if not _UNIT_WORDS.fullmatch(body) or not all(_is_unit_word(w, spaced=spaced, written=written) for w in words):
        return None
    return " ".join(_singular(w) for w in words) + (f"^{power[1]}" if power is not None else "")


def _is_unit_word(word: str, *, spaced: bool, written: bool) -> bool:
    r"""Tell a unit from a product of variables: ``2 xy`` is no number with a unit, ``2 boxes`` is."""
    if word.lower() in _NOT_UNITS:
        return False
    if written or (spaced and word in _SPACED) or word.lower() in _SHORT:
        return True
    return spaced and (word == "a" or (len(word) >= 3 and any(c in "aeiouyAEIOUY" for c in word)))


def _singular(word: str) -> str:
    lower = word.lower()
    single = lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower
    return _SAME_UNIT.get(lower, _SAME_UNIT.get(single, single))


def _scaled(unit: str) -> tuple[int, str]:
    first, _, rest = unit.partition(" ")
    return (_SCALES[first], rest) if first in _SCALES else (1, unit)
