"""What a sentence states, whatever its form: its numbers, and the equations between them, in signs or in words."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from stepforge.grading.exact import ExactError, Polynomial, evaluate
from stepforge.grading.number_words import in_digits
from stepforge.grading.vocabulary import words

MAX_LENGTH = 5000
"""Characters read per sentence."""
_TOKEN = re.compile(
    r"(?P<number>\d++(?:\.\d++)?+(?:/\d++)?+)(?![A-Za-wyz]|x[A-Za-z])|(?P<x>(?<![A-Za-z])x(?![A-Za-z]))"
    r"|(?P<sign>[-+*/^()=])|(?P<mod>\bmod\b)"
)
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


_OPERATORS = ("-", "+", "*", "/", "^", "mod")


class Run(NamedTuple):
    """A stretch of mathematics in a text: the sides of an equation, or one expression."""

    sides: tuple[str, ...]
    start: int
    end: int


class Reading(NamedTuple):
    """What a sentence states."""

    numbers: frozenset[str]
    """Every number and polynomial in it, in canonical text."""
    equations: tuple[tuple[str, ...], ...]
    """Sides that it says are equal."""
    about_x: tuple[tuple[str, ...], ...]
    """Equations with the unknown ``x`` in them, which hold at some x alone."""
    states: bool
    """Whether it says that something has a value, rather than only naming numbers."""


def read_sentence(text: str) -> Reading:
    """Return what a sentence states. A value that the sentence itself retracts does not count."""
    text = text[:MAX_LENGTH]
    plain = _X_IS.sub("x =", _LEFT_OVER.sub(r"\1 mod \2", _NOISE.sub("", in_digits(text))))
    numbers: set[str] = set()
    equations, about_x = [], []
    for sides in _joined(plain, _runs(plain)):
        if len(sides) > 1 and any("x" in side for side in sides) and not _same_polynomial(sides):
            about_x.append(sides)
            continue
        numbers.update(number for side in sides for number in numbers_of(side))
        if len(sides) > 1:
            equations.append(sides)
    states = bool(equations or about_x) or bool(EQUAL & set(_WORD.findall(plain.lower())))
    return Reading(frozenset(numbers), tuple(equations), tuple(about_x), states)


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


def _runs(text: str) -> list[Run]:
    runs: list[Run] = []
    tokens: list[tuple[str, int, int]] = []
    for match in _TOKEN.finditer(text):
        if tokens and text[tokens[-1][2] : match.start()].strip():
            runs += _run(tokens)
            tokens = []
        tokens.append((match[0], match.start(), match.end()))
    return runs + _run(tokens)


def _run(tokens: list[tuple[str, int, int]]) -> list[Run]:
    """Return the run of some tokens, or nothing if they have no number.

    A side that ends in a sign, or starts with one, is incomplete, and is left out.
    """
    cut_first = cut_last = False
    while tokens and tokens[-1][0] in (*_OPERATORS, "(", "="):
        cut_last, tokens = tokens[-1][0] != "=", tokens[:-1]
    while tokens and (tokens[0][0] in (*_OPERATORS[1:], ")", "=") or _dash(tokens)):
        cut_first, tokens = tokens[0][0] in _OPERATORS[1:], tokens[1:]
    if not any(token[0].isdigit() for token, _, _ in tokens):
        return []
    sides = " ".join(token for token, _, _ in tokens).split(" = ")
    whole = sides[cut_first and len(sides) > 1 : len(sides) - (cut_last and len(sides) > 1)]
    return [Run(tuple(map(_tight, whole or sides[:1])), tokens[0][1], tokens[-1][2])]


def _dash(tokens: list[tuple[str, int, int]]) -> bool:
    """Whether a run opens with a dash of the text: a sign stands directly before its number."""
    return tokens[0][0] == "-" and (len(tokens) == 1 or tokens[1][1] != tokens[0][2])


def _tight(side: str) -> str:
    return re.sub(r"(?<=\d) x", "x", re.sub(r" \^ ", "^", side))


def _joined(text: str, runs: list[Run]) -> list[tuple[str, ...]]:
    """Join an expression with the value given in the words after it; leave out retracted values."""
    joined: list[tuple[str, ...]] = []
    for i, run in enumerate(runs):
        between = text[runs[i - 1].end : run.start].lower() if i else ""
        if i and len(between) < 40 and _TAKEN_BACK.search(between):
            joined[-1] = (*joined[-1][:-1], *run.sides)
        elif i and _is_value(joined[-1][-1], between):
            joined[-1] = (*joined[-1], *run.sides)
        else:
            joined.append(run.sides)
    return joined


def _is_value(left: str, between: str) -> bool:
    said = set(_WORD.findall(between))
    operates = bool(re.search(r"[\dx)] (?:[-+*/]|mod) ", left))
    return operates and bool(said & EQUAL) and said <= _GLUE and not re.search(r"[.;]", between)


def _same_polynomial(sides: tuple[str, ...]) -> bool:
    return all(side.strip() != "x" for side in sides) and holds(sides)
