r"""Regions of the number line: intervals, unions, inequalities, ``x \ne 2`` and ``\mathbb{R} \setminus \{2\}``.

``(1,2)`` alone may be a point as well, so it is read as a region only where the other answer is one.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from stepforge.grading.equality import same_formula
from stepforge.grading.formula import read_formula
from stepforge.grading.precision import numeric
from stepforge.grading.trees import Formula
from stepforge.schemas.rollout import Outcome


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval; an end of None is infinite."""

    low: Formula | None
    high: Formula | None
    low_closed: bool = False
    high_closed: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """Disjoint intervals from left to right."""

    pieces: tuple[Interval, ...]


_CUP = re.compile(r"\\(?:cup|bigcup)(?![A-Za-z])|\bU\b")
_OR = re.compile(r"\\text\{\s*or\s*\}|\s+or\s+|\\(?:lor|vee)(?![A-Za-z])|,")
_AND = re.compile(r"\\text\{\s*and\s*\}|\s+and\s+|\\(?:land|wedge)(?![A-Za-z])")
_RELATION = re.compile(r"<|>|\\(?:le|ge|ne)(?![A-Za-z])")
_REALS = re.compile(r"\\mathbb\s*\{?\s*R\s*\}?")
_INFINITE = re.compile(r"\s*([-+]?)\s*\\infty\s*")
_VARIABLE = re.compile(r"\s*(?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?\s*")
_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}
_EVERYTHING = Interval(None, None)


class _NotARegion(ValueError):
    pass


@lru_cache(maxsize=1 << 12)
def read_region(text: str) -> Region | None:
    """Return the region that an inequality, a union or a difference of sets is; None for a lone interval."""
    try:
        if _RELATION.search(text) and "\\{" not in text:
            return _joined([piece for part in _OR.split(text) if part.strip() for piece in _inequality(part)])
        if _REALS.search(text):
            return _reals(text)
        if _CUP.search(text):
            parts = [_interval(part) for part in _CUP.split(text)]
            return _joined(parts)
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
    """Return whether two regions are the same."""
    if len(left.pieces) != len(right.pieces):
        return "wrong"
    outcomes: set[Outcome] = set()
    for one, other in zip(left.pieces, right.pieces, strict=True):
        if (one.low_closed, one.high_closed) != (other.low_closed, other.high_closed):
            return "wrong"
        for a, b in ((one.low, other.low), (one.high, other.high)):
            outcomes.add("correct" if a is b else "wrong" if a is None or b is None else same_formula(a, b))
    return next((o for o in ("wrong", "undetermined") if o in outcomes), "correct")


def _reals(text: str) -> Region:
    rest = _REALS.sub("", text, count=1).strip()
    if not rest:
        return Region((_EVERYTHING,))
    removed = re.fullmatch(r"(?:\\setminus|\\backslash|-|/)\s*\\\{(.*)\\\}", rest)
    if removed is None:
        raise _NotARegion
    return _without([_end(point) for point in removed[1].split(",")])


def _without(points: list[Formula | None]) -> Region:
    ordered = sorted((p for p in points if p is not None), key=_place)
    if len(ordered) != len(points):
        raise _NotARegion
    ends = [None, *ordered, None]
    return Region(tuple(Interval(a, b) for a, b in pairwise(ends)))


def standard_brackets(text: str) -> str:
    """Return the French ``]0,1[`` as ``(0,1)``."""
    body = text.strip()
    if len(body) > 2 and body[0] in "[]" and body[-1] in "[]" and (body[0] == "]" or body[-1] == "["):
        return ("(" if body[0] == "]" else "[") + body[1:-1] + (")" if body[-1] == "[" else "]")
    return body


def _interval(text: str) -> Interval:
    body = standard_brackets(text)
    if body[:1] not in ("(", "[") or body[-1:] not in (")", "]"):
        raise _NotARegion
    ends = re.split(r"[,;]", body[1:-1])
    if len(ends) != 2:
        raise _NotARegion
    low, high = _end(ends[0], lowest=True), _end(ends[1], lowest=False)
    return Interval(low, high, body[0] == "[" and low is not None, body[-1] == "]" and high is not None)


def _end(text: str, *, lowest: bool | None = None) -> Formula | None:
    infinite = _INFINITE.fullmatch(text)
    if infinite is not None:
        if lowest is None or lowest != (infinite[1] == "-"):
            raise _NotARegion
        return None
    formula = read_formula(text.strip())
    if formula is None or formula.names:
        raise _NotARegion
    return formula


def _inequality(text: str) -> list[Interval]:
    """Read ``x < 2``, ``3 \\le x < 5`` or ``x > 1 and x < 4``."""
    whole = [_EVERYTHING]
    for part in _AND.split(text):
        pieces = _chain(part)
        whole = [both for one in whole for other in pieces if (both := _overlap(one, other)) is not None]
    return whole


def _chain(text: str) -> list[Interval]:
    signs = [sign.group() for sign in _RELATION.finditer(text)]
    terms = _RELATION.split(text)
    places = [i for i, term in enumerate(terms) if _VARIABLE.fullmatch(term) and not _is_constant(term)]
    if len(places) != 1 or not 2 <= len(terms) <= 3:
        raise _NotARegion
    (place,) = places
    pieces = [_EVERYTHING]
    for i, sign in enumerate(signs):
        other = terms[i + 1] if i == place else terms[i]
        bounds = _bound(sign if i == place else _FLIPPED[sign], other)
        pieces = [both for one in pieces for bound in bounds if (both := _overlap(one, bound)) is not None]
    return pieces


def _is_constant(term: str) -> bool:
    return term.strip() in ("e", "\\pi", "\\infty", "i")


def _bound(sign: str, text: str) -> list[Interval]:
    infinite = _INFINITE.fullmatch(text)
    if infinite is not None:
        return [_EVERYTHING]
    end = _end(text)
    if sign == "\\ne":
        return [Interval(None, end), Interval(end, None)]
    closed = sign in ("\\le", "\\ge")
    return [Interval(None, end, False, closed) if sign in ("<", "\\le") else Interval(end, None, closed, False)]


def _overlap(one: Interval, other: Interval) -> Interval | None:
    low, low_closed = _inner(one.low, one.low_closed, other.low, other.low_closed, sign=1)
    high, high_closed = _inner(one.high, one.high_closed, other.high, other.high_closed, sign=-1)
    if low is not None and high is not None:
        gap = _place(high) - _place(low)
        if gap < 0 or (gap == 0 and not (low_closed and high_closed)):
            return None
    return Interval(low, high, low_closed, high_closed)


def _inner(
    a: Formula | None, a_closed: bool, b: Formula | None, b_closed: bool, *, sign: int
) -> tuple[Formula | None, bool]:
    if a is None or b is None:
        return (b, b_closed) if a is None else (a, a_closed)
    difference = sign * (_place(a) - _place(b))
    if difference == 0:
        return a, a_closed and b_closed
    return (a, a_closed) if difference > 0 else (b, b_closed)


def _joined(pieces: list[Interval]) -> Region:
    """Order the pieces, and join those that touch."""
    ordered = sorted(pieces, key=lambda p: float("-inf") if p.low is None else _place(p.low))
    joined: list[Interval] = []
    for piece in ordered:
        if piece.low is not None and piece.high is not None and _place(piece.low) > _place(piece.high):
            raise _NotARegion
        last = joined[-1] if joined else None
        if last is not None and (last.high is None or piece.low is None or _touch(last, piece)):
            joined[-1] = _hull(last, piece)
        else:
            joined.append(piece)
    if not joined:
        raise _NotARegion
    return Region(tuple(joined))


def _touch(left: Interval, right: Interval) -> bool:
    gap = _place(right.low) - _place(left.high) if right.low is not None and left.high is not None else -1.0
    return gap < 0 or (gap == 0 and (left.high_closed or right.low_closed))


def _hull(left: Interval, right: Interval) -> Interval:
    if left.high is None or (right.high is not None and _place(right.high) < _place(left.high)):
        return left
    return replace(left, high=right.high, high_closed=right.high_closed)


def _place(end: Formula) -> float:
    place = numeric(end)
    if place is None:
        raise _NotARegion
    return place
