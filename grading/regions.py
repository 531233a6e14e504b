r"""Regions of the number line: intervals, unions, inequalities, ``x \ne 2`` and ``\mathbb{R} \setminus \{2\}``.

``(1,2)`` alone may be a point as well, so it is read as a region only where the other answer is one.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import chain
from math import isfinite
from typing import NamedTuple

from stepforge.grading.equality import same_formula
from stepforge.grading.formula import read_formula
from stepforge.grading.precision import numeric
from stepforge.grading.trees import Formula
from stepforge.schemas.rollout import Outcome


@dataclass(frozen=True, slots=True, order=True)
class End:
    """Just before a number, or just ``after`` it; an infinite one has no formula."""

    place: float
    after: bool
    formula: Formula | None = field(default=None, compare=False)


class Interval(NamedTuple):
    """All numbers between two ends: ``[1,2)`` from just before 1 to just before 2."""

    low: End
    high: End


@dataclass(frozen=True, slots=True)
class Region:
    """Disjoint intervals from left to right."""

    pieces: tuple[Interval, ...]


_CUP = re.compile(r"\\(?:cup|bigcup)(?![A-Za-z])|\bU\b")
_OR = re.compile(r"\\text\{\s*or\s*\}|\s+or\s+|\\(?:lor|vee)(?![A-Za-z])")
_AND = re.compile(r"\\text\{\s*and\s*\}|\s+and\s+|\\(?:land|wedge)(?![A-Za-z])")
_RELATION = re.compile(r"<|>|\\(?:le|ge|ne)(?![A-Za-z])")
_REALS = re.compile(r"\\mathbb\s*\{?\s*R\s*\}?")
_INFINITE = re.compile(r"\s*([-+]?)\s*\\infty\s*")
_VARIABLE = re.compile(r"\s*(?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?\s*")
_CONSTANTS = frozenset({"e", "\\pi", "\\infty", "i"})
_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}
_LOWEST, _HIGHEST = End(float("-inf"), after=True), End(float("inf"), after=False)
_EVERYTHING = Interval(_LOWEST, _HIGHEST)


class _NotARegion(ValueError):
    pass


@lru_cache(maxsize=1 << 12)
def read_region(text: str) -> Region | None:
    """Return the region that an inequality, a union or a difference of sets is; None for a lone interval."""
    try:
        if _RELATION.search(text) and "\\{" not in text:
            return _inequalities(text)
        if _REALS.search(text):
            return _reals(text)
        if _CUP.search(text):
            return _joined([_interval(part) for part in _CUP.split(text)])
    except _NotARegion:
        pass
    return None


def as_region(text: str) -> Region | None:
    """Return the region that a lone interval is, ``(1,2)`` or ``[0,\\infty)``."""
    try:
        return _joined([_interval(text)])
    except _NotARegion:
        return None


def same_region(left: Region, right: Region) -> Outcome:
    if len(left.pieces) != len(right.pieces):
        return "wrong"
    ends = zip(chain(*left.pieces), chain(*right.pieces), strict=True)
    outcomes = {_same_end(one, other) for one, other in ends}
    return next((o for o in ("wrong", "undetermined") if o in outcomes), "correct")


def _same_end(one: End, other: End) -> Outcome:
    if one.formula is None or other.formula is None or one.after != other.after:
        return "correct" if one == other else "wrong"
    return same_formula(one.formula, other.formula)


def _reals(text: str) -> Region:
    rest = _REALS.sub("", text, count=1).strip()
    removed = re.fullmatch(r"(?:\\setminus|\\backslash|-|/)\s*\\\{(.*)\\\}", rest)
    if rest and removed is None:
        raise _NotARegion
    return _inequalities(f"x \\ne {removed[1]}") if removed else Region((_EVERYTHING,))


def standard_brackets(text: str) -> str:
    r"""Return the French ``]0,1[`` as ``(0,1)``, and the vector ``\langle 0,1\rangle`` too."""
    body = text.strip()
    if body.startswith("\\langle") and body.endswith("\\rangle"):
        return f"({body[7:-7]})"
    if len(body) > 2 and body[0] in "[]" and body[-1] in "[]" and (body[0] == "]" or body[-1] == "["):
        return ("(" if body[0] == "]" else "[") + body[1:-1] + (")" if body[-1] == "[" else "]")
    return body


def _interval(text: str) -> Interval:
    if text.lstrip().startswith("\\langle"):
        raise _NotARegion
    body = standard_brackets(text)
    ends = re.split(r"[,;]", body[1:-1])
    if body[:1] not in ("(", "[") or body[-1:] not in (")", "]") or len(ends) != 2:
        raise _NotARegion
    return Interval(_end(ends[0], body[0] == "(", _LOWEST), _end(ends[1], body[-1] == "]", _HIGHEST))


def _end(text: str, after: bool, infinite: End | None = None) -> End:
    if (sign := _INFINITE.fullmatch(text)) is not None:
        if infinite is None or (sign[1] == "-") != (infinite is _LOWEST):
            raise _NotARegion
        return infinite
    formula = read_formula(text.strip())
    place = None if formula is None else numeric(formula)
    if place is None or not isfinite(place):  # 10^400 is too big for a float
        raise _NotARegion
    return End(place, after, formula)


def _inequalities(text: str) -> Region:
    """Read inequalities with "or" or a comma between; commas mean "and" where "or" would leave nothing out."""
    listed = [part for part in re.split(rf"{_OR.pattern}|,", text) if part.strip()]
    variable, unequal, _ = listed[0].partition("\\ne")
    whole = [part if _RELATION.search(part) or not unequal else variable + unequal + part for part in listed]
    parts = [reduce(_overlap, map(_chain, _AND.split(part))) for part in whole]  # x > 1 and x < 4
    region = _joined([piece for pieces in parts for piece in pieces])
    if region.pieces == (_EVERYTHING,) and not _OR.search(text):
        return _joined(reduce(_overlap, parts))
    return region


def _chain(text: str) -> list[Interval]:
    """Read ``x < 2`` or ``3 \\le x < 5``."""
    signs = [sign.group() for sign in _RELATION.finditer(text)]
    terms = _RELATION.split(text)
    places = [i for i, term in enumerate(terms) if _VARIABLE.fullmatch(term) and term.strip() not in _CONSTANTS]
    if len(places) != 1 or not 2 <= len(terms) <= 3:
        raise _NotARegion
    (place,) = places
    bounds = (_bound(s, terms[i + 1]) if i == place else _bound(_FLIPPED[s], terms[i]) for i, s in enumerate(signs))
    return reduce(_overlap, bounds)


def _bound(sign: str, text: str) -> list[Interval]:
    if _INFINITE.fullmatch(text):
        return [_EVERYTHING]
    below, above = _all_but(text)
    return {
        "\\ne": [below, above],
        "<": [below],
        ">": [above],
        "\\le": [below._replace(high=above.low)],
        "\\ge": [above._replace(low=below.high)],
    }[sign]


def _all_but(point: str) -> list[Interval]:
    return [Interval(_LOWEST, _end(point, after=False)), Interval(_end(point, after=True), _HIGHEST)]


def _overlap(pieces: list[Interval], others: list[Interval]) -> list[Interval]:
    both = [Interval(max(one.low, other.low), min(one.high, other.high)) for one in pieces for other in others]
    return [interval for interval in both if interval.low < interval.high]


def _joined(pieces: list[Interval]) -> Region:
    """Order the pieces, and join those that touch."""
    joined: list[Interval] = []
    for piece in sorted(pieces):
        if piece.low.place > piece.high.place:
            raise _NotARegion
        if joined and piece.low <= joined[-1].high:
            joined[-1] = Interval(joined[-1].low, max(joined[-1].high, piece.high))
        else:
            joined.append(piece)
    if not joined:
        raise _NotARegion
    return Region(tuple(joined))
