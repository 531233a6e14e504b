r"""Reading an answer as what it is: a number, a formula, a collection, a region, an equation, a choice, or words.

An answer of another kind or arity than its reference's is never handed on, so that ``1,1,1`` is not ``1``.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from stepforge.grading.answer_types import (
    Equation,
    Items,
    ItemsKind,
    Nothing,
    Ratio,
    Reading,
    Unread,
    Value,
    Words,
    lone_option,
    marked_option,
)
from stepforge.grading.formula import read_formula
from stepforge.grading.plain_numbers import PlainNumber, read_number
from stepforge.grading.regions import read_region, standard_brackets
from stepforge.grading.spelling import between, without_text_commands
from stepforge.grading.units import Unit, read_unit, split_unit
from stepforge.grading.vocabulary import YES_OR_NO, is_word

_LIST = re.compile(
    r"\s(?:and|or)\s|\\text\{\s*(?:,\s*)?(?:and|or)\s*\}|\\(?:lor|vee)(?![A-Za-z])|(?<=,)\s*(?:and|or)\s", re.IGNORECASE
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!,?\d)", re.ASCII)
_THOUSANDS_INSIDE = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?=\s*(?:, |$|;))", re.ASCII)
_JUXTAPOSED = re.compile(r"(?<![\d_^,.])\d[\d.]*\s+(?=[\d.]*\d(?!\d*\s*/))", re.ASCII)
_MATRIX = re.compile(r"\\begin\{(?![vV]matrix)[a-z]*(?:matrix|array)\}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]*\}(?:\{[lcr| ]*\})?")
_MEMBERSHIP = re.compile(r"\A\s*[A-Za-z]\s*\\in(?![A-Za-z])\s*")
_NAME = re.compile(
    r"(?:[A-Za-z]|\\[A-Za-z]+|\\text\{[^{}]*\})(?:'|_\{?\w+\}?)?\s*(?:\([A-Za-z](?:,\s*[A-Za-z])*\))?\s*|\(\s*[a-z](?:\s*,\s*[a-z])+\s*\)\s*"
    r"|[A-Z][a-z]*\s*"
)
_ALL_REALS = frozenset({"all real numbers", "all reals", "all real values", "the set of all real numbers"})
_RATIO = re.compile(
    r"(\d+(?:\.\d+)?(?:\s*(?::|\\text\{\s*to\s*\}|\bto\b|\\colon)\s*\d+(?:\.\d+)?)+)\s*(?:\\text\{\s*)?([AaPp]\.?[Mm]\.?)?\s*\}?",
    re.ASCII,
)
_BASED = re.compile(r"(?:\\text\{)?\s*([0-9]*[A-Fa-f][0-9A-Fa-f]*)\s*\}?_\{?(\d{2})\}?", re.ASCII)
_REMAINDER = re.compile(r"(\d+)\s*(?:\\text\{)?\s*(?:R|r|remainder|rem\.?)\s*\}?\s*(\d+)", re.ASCII)
_WORDS = re.compile(r"[^\W\d_][\w .,'’\-/]*", re.UNICODE)
_ENGLISH = re.compile(r"[A-Za-z]{3}")
_NOTHING = frozenset(
    {"", "no solution", "no solutions", "none", "emptyset", "empty set", "the empty set", "no real solution",
     "no real solutions", "no such number", "no values"}
)  # fmt: skip
_TEXT_ONLY = re.compile(r"\\text\{[^{}]*\}")
_TRIGONOMETRIC = re.compile(r"(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*degrees", re.ASCII)
_PREFIX = re.compile(r"\A\s*\\text\{[^{}]*(?:\bis|=|:|\bare)\s*\}\s*(?=\S)")
_MOD = re.compile(r"\s*(?:\\pmod\s*\{?\s*\w+\s*\}?|\(?\s*\\(?:bmod|mod)\s*\{?\s*\w+\s*\}?\s*\)?)\s*$")


@lru_cache(maxsize=1 << 14)
def read_answer(text: str) -> Reading:
    body = _PREFIX.sub("", text.strip())
    body = _MOD.sub("", body) or body
    body = _MEMBERSHIP.sub("", body)
    if without_text_commands(body).strip().casefold() in _ALL_REALS:
        return read_answer("\\mathbb{R}")
    if (said := YES_OR_NO.fullmatch(without_text_commands(body))) is not None:
        return Words(said[1].casefold(), written=True, plain=said[1])
    if _TEXT_ONLY.fullmatch(body) and (_LIST.search(body) or any(c in ",0123456789" for c in body)):
        return read_answer(body[6:-1])
    return lone_option(body) or _value(body) or _special(body) or _compound(body)


def _special(text: str) -> Reading | None:
    """Read what has a form of its own: matrices, ratios, remainders, the empty set, marked choices."""
    if _MATRIX.search(text):
        return _matrix(text)
    if text.replace(" ", "") in ("\\emptyset", "\\{\\}", "{}") or (
        without_text_commands(text).strip().casefold().rstrip(".") in _NOTHING
    ):
        return Nothing()
    if (ratio := _RATIO.fullmatch(text)) is not None:
        parts = tuple(Fraction(part) for part in re.findall(r"\d+(?:\.\d+)?", ratio[1]))
        return Ratio(parts, (ratio[2] or "").replace(".", "").casefold())
    if (remainder := _REMAINDER.fullmatch(text)) is not None:
        return Items("tuple", tuple(read_answer(part) for part in remainder.groups()), text=text, bracket="R")
    based = _BASED.fullmatch(text)
    if based is not None and 10 < int(based[2]) <= 16 and max(int(digit, 16) for digit in based[1]) < int(based[2]):
        return Value(text, PlainNumber(Fraction(int(based[1], int(based[2]))), Unit("base 10")), None, Unit())
    return marked_option(without_text_commands(text))


def _compound(text: str) -> Reading:
    """Read regions, equations and collections; what is none of these is words, or is not read."""
    if (region := read_region(text)) is not None:
        return region
    inside, kind, bracket = _inside(standard_brackets(text))
    parts = _split(inside, bracketed=kind != "list" or bool(bracket))
    if len(parts) == 1 and bracket:
        return read_answer(inside) if kind != "interval" else Unread(inside)
    if len(parts) > 1:
        return _items(kind, parts, text, bracket)
    if (equation := _equation(text)) is not None:
        return equation
    if "\\pm" in text or "\\mp" in text:
        return _both_signs(text)
    return _words(text) or Unread(text)


def _items(kind: ItemsKind, parts: tuple[str, ...], text: str, bracket: str) -> Reading:
    name, parts = _shared_name(parts) if not bracket else (None, parts)
    readings: list[Reading] = []
    for part in parts:
        reading = read_answer(part)
        both = isinstance(reading, Items) and not reading.bracket and ("\\pm" in part or "\\mp" in part)
        readings += reading.parts if isinstance(reading, Items) and both else [reading]
    items = Items(kind, tuple(readings), text=text, bracket=bracket)
    return Equation(name, None, items) if name else items


def _shared_name(parts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Take the name off ``n=3, 4, 5`` and off ``x=1 or x=2``."""
    split = [part.split("=", 1) for part in parts]
    names = [side[0].strip() for side in split if len(side) == 2]
    if not names or len(split[0]) != 2 or len(set(names)) != 1 or not _NAME.fullmatch(names[0]):
        return None, parts
    return names[0], tuple(side[-1].strip() for side in split)


def _value(text: str) -> Value | None:
    """Read a number or a formula with its unit; None where it is neither."""
    if (number := read_number(text)) is not None:
        formula = read_formula(text) if number.unit.letter else None
        return Value(text, number, formula, number.unit)
    collection = text.startswith(("\\{", "[", "]")) or "\\pm" in text or "\\mp" in text
    if not text or text[-1] in ",;" or collection:
        return None
    if "degrees" in text and _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(r"(\1 \\pi /180)", text)
    for body, written in ((text, ""), split_unit(text)):
        unit = read_unit(" " + written) if written else Unit()
        formula = None if unit is None or is_word(body) else read_formula(body)
        if unit is not None and formula is not None:
            return Value(text, None, formula, unit)
    return None


def _matrix(text: str) -> Reading:
    rows = [row.split("&") for row in _ENVIRONMENT.sub(" ", text).split("\\\\") if row.strip()]
    cells = tuple(read_answer(cell.strip()) for row in rows for cell in row)
    outside = _ENVIRONMENT.split(text)
    if outside[0].strip() or outside[-1].strip():
        return Unread(text)
    return Items("matrix", cells, rows=len(rows), text=text)


def _equation(text: str) -> Equation | None:
    """Read ``x = 5`` and ``2x + y = 3``; of a chain of equalities, its first name and its last value."""
    if re.search(r"[<>]|\\(?:le|ge|ne|approx|in|equiv|sim|subset)(?![A-Za-z])", text):
        approximated = re.split(r"\\approx(?![A-Za-z])", text)
        if len(approximated) == 2 and approximated[0].strip():  # 4\pi \approx 12.57
            named = _NAME.fullmatch(approximated[0].strip()) is not None
            inner = read_answer(approximated[1 if named else 0].strip())
            return inner if isinstance(inner, Equation) else Equation("", None, inner)
        return None
    sides = [side.strip() for side in text.split("=")]
    if len(sides) < 2 or not all(sides):
        return None
    name = sides[0] if _NAME.fullmatch(sides[0]) else None
    left = read_formula(sides[0])
    if name is None and left is not None and (len(sides) > 2 or not left.names):
        name = ""
    if name is None and left is None:
        return None
    return Equation(name, left, read_answer(sides[-1]))


def _both_signs(text: str) -> Reading:
    r"""Read ``1 \pm \sqrt{2}`` as its two values."""
    name, equals, value = text.rpartition("=")
    if len(re.findall(r"\\pm(?![A-Za-z])", value)) > 1:
        return Unread(text)  # the signs may go together or not
    pair = tuple(
        read_answer(value.replace("\\pm", upper).replace("\\mp", lower).strip())
        for upper, lower in (("+", "-"), ("-", "+"))
    )
    items = Items("list", pair, text=text)
    return Equation(name.strip(), None, items) if equals else items


def _words(text: str) -> Words | None:
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip()
    plain = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", plain).rstrip(".!").strip()
    written = "\\text" in text
    if not _WORDS.fullmatch(plain) or not (written or _ENGLISH.search(plain) or not plain.isascii() or plain.isalpha()):
        return None
    return Words(_folded(plain), written, plain)


def _folded(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _inside(text: str) -> tuple[str, ItemsKind, str]:
    """Return the text inside the outermost brackets, its kind of collection, and the bracket; empty if none."""
    for opening, closing in (("\\{", "\\}"), ("{", "}")):
        if (inner := between(opening, text, closing)) and _closes_at_end(text.replace("\\", "")):
            return inner, "list", opening
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and _closes_at_end(text):
        return text[1:-1], "tuple" if text[0] + text[-1] in ("()", "[]") else "interval", text[0]
    return text, "list", ""


def _closes_at_end(text: str) -> bool:
    return next((place for place, depth in enumerate(_depths(text)) if depth == 0), None) == len(text) - 1


def _depths(text: str) -> Iterator[int]:
    """Yield for each character how many brackets are open after it."""
    return accumulate((c in "([{") - (c in ")]}") for c in text)


def _split(text: str, *, bracketed: bool) -> tuple[str, ...]:
    """Split at the separators that stand in no bracket; thousands separators are none."""
    flat = _LIST.sub(" , ", text)
    if not bracketed:
        flat = _THOUSANDS.sub(lambda m: m[0].replace(",", ""), flat)
    elif ", " in flat:  # (1,000, 2,000)
        flat = _THOUSANDS_INSIDE.sub(lambda m: m[0].replace(",", ""), flat)
    flat = _JUXTAPOSED.sub(lambda m: m[0].strip() + " , ", flat)
    apart = "".join("\0" if c in ",;" and depth <= 0 else c for c, depth in zip(flat, _depths(flat), strict=True))
    return tuple(part.strip() for part in apart.split("\0") if part.strip()) or (text,)
