r"""Reading an answer that is one number, exactly: ``-7``, ``$1,234.50``, ``18 dollars``, ``40%``, ``1\frac{4}{5}``.

The whole text must be the number and its unit. A percent sign is a unit, so ``100%`` is 100 and not 1. Digits are
ASCII, and bounded before any arithmetic.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from stepforge.grading.number_words import read_cardinal
from stepforge.grading.units import PARTS, Unit, ratio, read_unit

_EUROPEAN = r"\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?![\d.])"
"""Unlike ``1.234``, these can be read in one way only."""
_PLAIN = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<approx>(?:\\approx|~|\\sim|=)\s*)?(?P<sign>[-+]?)\s*"
    rf"(?P<money>(?:(?:US)?\$|\\text\{{\s*(?:Rs\.?|USD|US\$|EUR|GBP|INR)\s*\}}|(?:Rs\.?|USD|EUR|GBP)\s)?)\s*(?P<inner>[-+]?)\s*"
    rf"(?:(?:(?P<whole>\d+)\s+)?(?P<top>\d+)\s*/\s*(?P<bottom>\d+)"
    rf"|(?P<european>{_EUROPEAN})|(?P<plain>{_PLAIN})(?P<power>\s*\\times\s*10\s*\^\s*(?:\{{\s*(?P<ea>[-+]?\d{{1,3}})\s*\}}|(?P<eb>[-+]?\d{{1,3}})))?)"
    rf"(?P<unit>.*)",
    re.ASCII | re.DOTALL,
)
_FRACTION = re.compile(r"\\frac\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))(?!\s*[\d.])", re.ASCII)
_DEBT = re.compile(r"\(\s*(\$\s*\d[\d.,]*)\s*\)", re.ASCII)
_COMPOUND = re.compile(
    r"(\d[\d.,]*[^\d]*?(?:[A-Za-z}]|'))(?P<apart>\s*(?:,|\band|\\text\{\s*and\s*\}))?(?:\s+|(?<=')\s*)(\d.*)",
    re.ASCII | re.DOTALL,
)
_LITERAL = re.compile(r"0[xX][0-9A-Fa-f]{1,40}|0[bB][01]{1,100}|0[oO][0-7]{1,40}", re.ASCII)
"""How programs write whole numbers in other bases."""
_A_PART = re.compile(rf"^an? (?!quarter\b)(?=(?:{'|'.join(PARTS)})\b)", re.IGNORECASE)
"""A quarter may be a coin, or of an hour: ``a quarter past three``."""
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)", re.ASCII)


@dataclass(frozen=True, slots=True)
class PlainNumber:
    value: Fraction
    unit: Unit
    other: Fraction | None = None
    """What else it may have been meant as."""

    @property
    def percent(self) -> bool:
        return self.unit.name == "%"

    @property
    def in_base_ten(self) -> int | None:
        """The value of a whole number written with its base, as ``52_8``; None where it has no base, or a wrong one."""
        kind, _, base = self.unit.name.partition(" ")
        digits = str(self.value).lstrip("-")
        if kind != "base" or not 2 <= int(base) <= 10 or not digits.isdigit() or int(max(digits)) >= int(base):
            return None
        return int(str(self.value), int(base))


def read_number(text: str) -> PlainNumber | None:
    """Return the number that a cleaned answer is; None where it is anything else or more than one number."""
    if text.startswith("0") and _LITERAL.fullmatch(text.strip()):
        return PlainNumber(Fraction(int(text, 0)), Unit())
    if "\\frac" in text:
        text = _FRACTION.sub(r" \1\2/\3\4", text)
    ordinal = _ORDINAL.fullmatch(text.strip())
    match = _NUMBER.fullmatch(ordinal[1] if ordinal else text.strip())
    if match is None or "..." in text or (match["sign"] and match["inner"]):
        return _in_debt(text) or _in_words(text) or _compound(text)
    value = _value(match)
    unit = read_unit(match["unit"]) if value is not None else None
    if value is None or unit is None:
        return _compound(text)
    if match["money"]:
        unit = Unit("dollar", unit.scale, unit.other)
    value = -value if "-" in (match["sign"], match["inner"]) else value
    return PlainNumber(value * unit.scale, unit, None if unit.other is None else value * unit.other)


def _compound(text: str) -> PlainNumber | None:
    """Read ``2 hours and 30 minutes``: one quantity, in its largest unit or in its smallest."""
    both = _COMPOUND.fullmatch(text.strip())
    large, small = (read_number(both[1]), read_number(both[3])) if both is not None else (None, None)
    if both is None or large is None or small is None or large.value.denominator > 1:
        return None
    size = ratio(large.unit, small.unit)
    if size is None or size <= 1 or small.value < 0:
        return None
    if small.value >= size and (both["apart"] or large.unit.measure == "money"):
        return None  # "2 dimes 3 nickels" counts coins
    whole = large.value + small.value / size
    return PlainNumber(whole, large.unit, whole * size)


def _in_words(text: str) -> PlainNumber | None:
    """Read ``twelve``, ``twelve apples`` and ``a half``."""
    found = read_cardinal(_A_PART.sub("one ", text.strip())) if text[:1].isalpha() else None
    unit = read_unit(found[1]) if found else None
    if found is None or unit is None:
        return None
    return PlainNumber(found[0] * unit.scale, unit, None if unit.other is None else found[0] * unit.other)


def _in_debt(text: str) -> PlainNumber | None:
    """Read ``($5)``, which an accountant writes for -5."""
    debt = _DEBT.fullmatch(text.strip())
    number = read_number(debt[1]) if debt is not None else None
    return None if number is None else PlainNumber(-number.value, Unit("turned"), number.value)


def _value(match: re.Match[str]) -> Fraction | None:
    if match["european"] is not None:
        return Fraction(match["european"].replace(".", "").replace(",", "."))
    if match["plain"] is not None:
        value = Fraction(match["plain"].replace(",", "").replace(" ", ""))
        return value * Fraction(10) ** int(match["ea"] or match["eb"]) if match["power"] else value
    whole, top, bottom = (int(match[part] or 0) for part in ("whole", "top", "bottom"))
    if bottom == 0 or (whole and top >= bottom):  # 5\frac{7}{2} is a product, not a mixed number
        return None
    return whole + Fraction(top, bottom)
