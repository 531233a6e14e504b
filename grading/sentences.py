"""What a sentence states, whatever its form: its numbers, and the equations between them, in signs or in words."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from stepforge.grading.exact import ExactError, Polynomial, evaluate
from stepforge.grading.number_words import in_digits
from stepforge.grading.vocabulary import words

MAX_LENGTH = 5000
"""Characters read per sentence."""
UNKNOWN = "\u25a1"
"""Stands for a part of an expression that is not read, as a root: whatever it stands in has no known value."""
_TOKEN = re.compile(
    rf"{UNKNOWN}|\d++(?:\.\d++)?+(?:/\d++)?+(?![A-Za-wyz]|x[A-Za-z])|(?<![A-Za-z])x(?![A-Za-z])|[-+*/^()=]|\bmod\b"
)
_STRETCH = re.compile(rf"(?:{_TOKEN.pattern})(?:\s*(?:{_TOKEN.pattern}))*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:/\d+)?")
_NOISE = re.compile(r"(?<=\d),(?=\d{3}\b)|[$€£%]")
_LEFT_OVER = re.compile(r"(\d+)\s*/\s*(\d+)(?=,?\s+leaves\b)")
"""``84 / 36 leaves 12``: a remainder, not a quotient."""
_X_IS = re.compile(r"(?:(?<!of )\bx|\b(?:the|our) unknown) (?:is|equals)(?=\s+-?[\d(])")
_WORD = re.compile(r"[a-z]+")
_TAKEN_BACK = re.compile(r"\b(?:no|wait|sorry|mean|scratch|redo|correction)\b", re.IGNORECASE)
EQUAL = words(
    "is are be equal equals gives give giving makes make making leaves leave get gets have has comes come adds add "
    "works work becomes become yields total totals"
)
"""Words that state the value of the expression before them."""
_GLUE = EQUAL | words("which that it this so and we i the to up out of result value exactly a us")

_CLOSING = ("|", "]", "}", "'")
_NOT_FIRST = frozenset(("+", "*", "/", "^", "mod"))
_OPERATORS = _NOT_FIRST | {"-"}


class Run(NamedTuple):
    """A stretch of mathematics in a text: the sides of an equation, or one expression."""

    sides: tuple[str, ...]
    start: int
    end: int
    partial: bool
    """Whether it is the end of one expression, as the ``3 + 1`` of ``n/3 + 1``."""


class Reading(NamedTuple):
    numbers: frozenset[str]
    """Every number and polynomial in it, in canonical text."""
    equations: tuple[tuple[str, ...], ...]
    """Sides that it says are equal."""
    about_x: tuple[tuple[str, ...], ...]
    """Equations with the unknown ``x`` in them, which hold at some x alone."""
    states: bool
    """Whether it says that something has a value, rather than only naming numbers."""


def read_sentence(text: str) -> Reading:
    """Parse the statements of a sentence. A value that the sentence itself retracts does not count."""
    plain = _spelled(text)
    joined = _joined(plain)
    with_x = tuple(filter(about_x, joined))
    others = [sides for sides in joined if sides not in with_x]
    numbers = frozenset(number for sides in others for side in sides for number in numbers_of(side))
    equations = tuple(sides for sides in others if len(sides) > 1)
    states = bool(equations or with_x) or not EQUAL.isdisjoint(_WORD.findall(plain.lower()))
    return Reading(numbers, equations, with_x, states)


def stretches(text: str) -> list[tuple[str, ...]]:
    """Return the sides of each equation of a sentence, and each expression that is in none."""
    return _joined(_spelled(text))


def _spelled(text: str) -> str:
    plain = _NOISE.sub("", in_digits(text[:MAX_LENGTH]))
    plain = _LEFT_OVER.sub(r"\1 mod \2", plain) if "leaves" in plain else plain
    return _X_IS.sub("x =", plain) if "x" in plain or "unknown" in plain else plain


def about_x(sides: tuple[str, ...]) -> bool:
    """Return whether these are sides of an equation that holds at some x alone."""
    if len(sides) < 2 or not any("x" in side for side in sides):
        return False
    return any(side.strip() == "x" for side in sides) or not holds(sides)


def holds(sides: Iterable[str], at: str | None = None) -> bool:
    """Return whether all sides have one value; with ``at``, at that value of x."""
    try:
        values = [evaluate(side if at is None else side.replace("x", f"({at})")) for side in sides]
    except ExactError:
        return False
    return all(value == values[0] for value in values)


def numbers_of(side: str) -> list[str]:
    """Return the numbers of an expression, signs that are not operators included; of a polynomial, the polynomial."""
    try:
        value = evaluate(side)
    except ExactError:
        value = Polynomial([])
    if value.constant is None:
        return [str(value)]
    found = []
    for match in _NUMBER.finditer(side):
        before = side[: match.start()].rstrip()
        negative = before.endswith("-") and (not before[:-1].strip() or before[:-1].rstrip()[-1] in "+-*/^(")
        found.append(canonical(f"-{match[0]}" if negative else match[0]))
    return found


def canonical(text: str) -> str:
    """Return the canonical text of a value; other text unchanged."""
    try:
        return str(evaluate(text))
    except ExactError:
        return text


def _run(text: str, start: int, end: int) -> Run | None:
    """Return the run in a stretch of tokens, or None if they have no number.

    A side that ends in a sign, or starts with one, is incomplete, and is left out.
    """
    tokens = _TOKEN.findall(text, start, end)
    cut_first = cut_last = False
    begun = text[:start].rstrip()[-1:]
    while tokens and (tokens[-1] in _OPERATORS or tokens[-1] in "(="):
        cut_last = tokens.pop() != "="
    while tokens and (tokens[0] in _NOT_FIRST or tokens[0] in ")=" or _dash(tokens, text[start + 1 :])):
        cut_first = tokens[0] in _NOT_FIRST or (tokens[0] == "-" and (begun.isalnum() or begun in _CLOSING))
        start += len(tokens.pop(0))
        start += len(text[start:end]) - len(text[start:end].lstrip())
    if not any(token[0].isdigit() for token in tokens):
        return None
    sides = " ".join(tokens).split(" = ")
    whole = sides[cut_first and len(sides) > 1 : len(sides) - (cut_last and len(sides) > 1)]
    after = text.rindex(tokens[-1], start, end) + len(tokens[-1])
    return Run(tuple(map(_tight, whole or sides[:1])), start, after, partial=cut_first and len(sides) == 1)


def _dash(tokens: list[str], after: str) -> bool:
    """Whether a run opens with a dash of the text: a sign stands directly before its number."""
    return tokens[0] == "-" and (len(tokens) == 1 or after[:1].isspace())


def _tight(side: str) -> str:
    tight = side.replace(" ^ ", "^")
    return re.sub(r"(?<=\d) x", "x", tight) if "x" in tight else tight


def _joined(text: str) -> list[tuple[str, ...]]:
    """Join an expression with the value given in the words after it; leave out retracted values."""
    runs = [run for found in _STRETCH.finditer(text) if (run := _run(text, *found.span()))]
    joined: list[tuple[str, ...]] = []
    for i, run in enumerate(runs):
        between = text[runs[i - 1].end : run.start].lower() if i else ""
        if i and len(between) < 40 and _TAKEN_BACK.search(between):
            joined[-1] = (*joined[-1][:-1], *run.sides)
        elif i and not runs[i - 1].partial and _is_value(joined[-1][-1], between):
            joined[-1] = (*joined[-1], *run.sides)
        else:
            joined.append(run.sides)
    return joined


def _is_value(left: str, between: str) -> bool:
    said = set(_WORD.findall(between))
    told = not said.isdisjoint(EQUAL) and said <= _GLUE and not re.search(r"[.;]", between)
    return told and re.search(r"[\dx)] (?:[-+*/]|mod) ", left) is not None
