r"""Blocks that a step is never cut inside: code fences, LaTeX environments, displays and inline mathematics.

An unclosed block does not count, so a truncated solution is still cut. Every search is linear in the text.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """Characters ``start`` to before ``end``."""

    start: int
    end: int


BLANK_LINES = re.compile(r"\n(?:[ \t\r]*\n)+")
_FENCE = re.compile(r"^[ \t>]*+(?P<mark>`{3,}+|~{3,}+)(?P<rest>[^\r\n]*)", re.M)
_ENVIRONMENT = re.compile(r"\\(begin|end)[ \t]*\{([A-Za-z]{1,40}\*?)\}")
_MATH_EDGE = re.compile(r"\\[\\$()\[\]]|\$\$?")
_CLOSER = {r"\(": r"\)", r"\[": r"\]", "$$": "$$", "$": "$"}
_PROSE = frozenset(("document", "proof", "solution"))
"""Environments that hold a whole solution: the steps lie inside them."""


def whole_blocks(text: str, *, inline: bool) -> list[Span]:
    """Return the spans not to cut, in order, without overlaps.

    ``inline``: with ``$...$`` and ``\\(...\\)``, which end at a blank line at the latest.
    """
    fences = list(_fences(text)) if "```" in text or "~~~" in text else []
    environments = _outside(_environments(text), fences) if "\\begin" in text else []
    blocks = _merged([*fences, *environments])
    if "$" in text or "\\" in text:
        blocks = _merged([*blocks, *_outside(_mathematics(text, blocks, inline=inline), blocks)])
    return blocks


def inside(position: int, spans: list[Span]) -> bool:
    """Whether a cut at this position would split one of the ordered spans."""
    before = bisect_right(spans, (position,)) - 1
    return before >= 0 and spans[before].start < position < spans[before].end


def _fences(text: str) -> Iterator[Span]:
    """Yield closed fences (CommonMark 0.31, section 4.5); the line break after the closing one belongs to it."""
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        mark, rest = match["mark"], match["rest"].strip()
        if opened is None:
            if "`" not in rest:
                opened = match
        elif mark[0] == opened["mark"][0] and len(mark) >= len(opened["mark"]) and not rest:
            yield Span(opened.start(), match.end())
            opened = None


def _environments(text: str) -> Iterator[Span]:
    begun: dict[str, list[int]] = {}
    for match in _ENVIRONMENT.finditer(text):
        side, name = match.groups()
        if name.rstrip("*").lower() in _PROSE:
            continue
        if side == "begin":
            begun.setdefault(name, []).append(match.start())
        elif begun.get(name):
            yield Span(begun[name].pop(), match.end())


def _mathematics(text: str, blocks: list[Span], *, inline: bool) -> Iterator[Span]:
    """Yield the spans of mathematics.

    A ``$`` pairs with the next one only, and as in pandoc no space follows the opening one, none precedes the
    closing one and no digit follows it, so that amounts of money open nothing. Displays may hold blank lines, unless
    the ``$$`` of the text do not pair up.
    """
    edges = [match for match in _MATH_EDGE.finditer(text) if not inside(match.start() + 1, blocks)]
    places: dict[str, list[int]] = {}
    for found in edges:
        places.setdefault(found[0], []).append(found.start())
    blanks = [match.end() for match in BLANK_LINES.finditer(text)]
    may_be_blank = {r"\["} | ({"$$"} if len(places.get("$$", ())) % 2 == 0 else set())
    behind = 0
    for match in edges:
        place, edge = match.start(), match[0]
        closer = _CLOSER.get(edge)
        if closer is None or place < behind or (not inline and edge in ("$", r"\(")):
            continue
        if (close := _first_above(places.get(closer, []), place)) is None:
            continue
        if edge not in may_be_blank and (blank := _first_above(blanks, place)) is not None and blank <= close:
            continue
        if edge == r"\[" and (again := _first_above(places[edge], place)) is not None and again < close:
            continue  # displays do not nest: this one was never closed
        if edge == "$" and not _dollars(text, place, close):
            continue
        behind = close + len(closer)
        yield Span(place, behind)


def _dollars(text: str, place: int, close: int) -> bool:
    edges = text[place + 1], text[close - 1]
    return not any(c.isspace() for c in edges) and not text[close + 1 : close + 2].isdigit()


def _outside(spans: Iterable[Span], blocks: list[Span]) -> list[Span]:
    """Return the spans with no end inside a block: text in a code fence opens nothing."""
    return [s for s in spans if not inside(s.start + 1, blocks) and not inside(s.end - 1, blocks)]


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _first_above(ordered: list[int], place: int) -> int | None:
    index = bisect_right(ordered, place)
    return ordered[index] if index < len(ordered) else None
