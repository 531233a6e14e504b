"""Parts that cut a solution into steps.

For every text the pieces, joined with nothing between, are the text exactly; none is empty, and none is only white
space unless the whole text is. Every cut is found in linear time.
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import Field

from stepforge.schemas.own_part import OrOwn
from stepforge.schemas.record import Record

_BLANK_LINES = re.compile(r"\n(?:[ \t\r]*\n)+")
_STEP_MARKER = re.compile(r"^[ \t]*(?:#{1,6}[ \t]*)?(?:\*\*)?step[ \t]{1,4}[0-9]{1,6}[ \t]{0,4}:", re.I | re.M)
# Look-behinds let a search start only where a run starts: "....." costs its length, not its square.
_SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"'\u201d\u2019)\]*]*+(\s++)(?=(\S))")
_LAST_WORD = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]+\Z")
_LIST_NUMBER = re.compile(r"(?:\A|\n)[ \t]*(?:[0-9]{1,4}|[A-Za-z])\Z")
_MATH_EDGE = re.compile(r"\\[\\$()\[\]]|\$\$?")
_CLOSER = {r"\(": r"\)", r"\[": r"\]", "$$": "$$", "$": "$"}
_WORD_GAP = re.compile(r"(?<!\s)\s++(?=\S)|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=\w)")
_ABBREVIATIONS = frozenset(
    ("e.g", "i.e", "etc", "vs", "cf", "resp", "approx", "ca", "fig", "figs", "eq", "eqs", "thm", "vol", "mr", "mrs")
).union(("ms", "dr", "prof", "st", "jr", "sr"))
_LOOK_BACK = 24
"""Characters read back from a full stop for an abbreviation or a list number."""
_STARTS = frozenset("\"'\u201c\u2018([$\\*#-\u2013\u2022")
"""What a sentence may start with, besides a capital letter and a digit."""


class Segmenter(Record, ABC):
    """Cuts a text into pieces; an empty text has none."""

    def __call__(self, text: str) -> tuple[str, ...]:
        """Return the pieces."""
        edges = [0, *self.cuts(text), len(text)]
        pieces = [text[a:b] for a, b in pairwise(edges) if a < b]
        return tuple(_with_blanks_joined(pieces) if any(map(str.isspace, pieces)) else pieces)

    @abstractmethod
    def cuts(self, text: str) -> Iterable[int]:
        """Return the positions to cut at, in order."""


class BlankLine(Segmenter):
    """Cuts after blank lines (lines of nothing but spaces, too): a step owns the blank lines behind it."""

    kind: Literal["blank_line"] = "blank_line"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the ends of runs of blank lines."""
        return (match.end() for match in _BLANK_LINES.finditer(text))


class Line(Segmenter):
    """Cuts after every line break."""

    kind: Literal["line"] = "line"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the ends of lines."""
        return accumulate(len(line) + 1 for line in text.split("\n")[:-1])


class StepMarker(Segmenter):
    """Cuts before ``Step 2:`` (also ``## Step 2:``, ``**Step 2:``) at the start of a line.

    What stands before the first marker belongs to the first step.
    """

    kind: Literal["step_marker"] = "step_marker"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the starts of all marked lines but the first."""
        return [match.start() for match in _STEP_MARKER.finditer(text)][1:]


class Sentence(Segmenter):
    """Cuts between sentences, never inside ``$...$``, ``\\(...\\)`` or ``\\[...\\]``, and after blank lines.

    The space goes to the next sentence; line breaks stay with the sentence before.
    """

    kind: Literal["sentence"] = "sentence"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the positions between sentences."""
        blanks = [match.end() for match in _BLANK_LINES.finditer(text)]
        ends = [_gap_cut(text, *match.span(1)) for match in _SENTENCE_END.finditer(text) if _ends_sentence(text, match)]
        spans = list(_math_spans(text, blanks))
        starts = [start for start, _ in spans]
        for cut in sorted({*ends, *blanks}):
            before = bisect_right(starts, cut) - 1
            if before < 0 or spans[before][1] <= cut:
                yield cut


class Pieces(Segmenter):
    """Cuts between words into about ``count`` pieces of about equal length (OmegaPRM, arXiv 2406.06592, 4.2)."""

    kind: Literal["pieces"] = "pieces"
    count: int = Field(default=16, ge=1, le=1000)
    """Pieces aimed for; a text of fewer words has fewer."""

    def cuts(self, text: str) -> Iterable[int]:
        """Return, for each equal division, the gap between words that lies nearest."""
        gaps = [_gap_cut(text, *match.span()) for match in _WORD_GAP.finditer(text)]
        if not gaps:
            return []
        targets = [len(text) * k // self.count for k in range(1, self.count)]
        return sorted({_nearest(gaps, target) for target in targets})


AnySegmenter = Annotated[
    BlankLine | Line | StepMarker | Sentence | Pieces, Field(discriminator="kind"), OrOwn(Segmenter)
]


def _with_blanks_joined(pieces: Iterable[str]) -> Iterator[str]:
    """Join white space to the piece before it; at the start of the text, to the piece after it."""
    run: list[str] = []
    solid = False
    for piece in pieces:
        blank = piece.isspace()
        if solid and not blank:
            yield "".join(run)
            run = []
        run.append(piece)
        solid = solid or not blank
    if run:
        yield "".join(run)


def _gap_cut(text: str, start: int, end: int) -> int:
    """Return where to cut a gap of white space: after its last line break, or before the gap."""
    return text.rfind("\n", start, end) + 1 or start


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    following = match[2]
    if not (following.isupper() or following.isdigit() or following in _STARTS):
        return False
    stop = match.start()
    if text[stop : stop + 2].strip() != ".":
        return True
    back = text[max(0, stop - _LOOK_BACK) : stop]
    if stop > _LOOK_BACK:
        back = " " + back  # the window's edge is not the start of a line
    word = _LAST_WORD.search(back)
    return not (_LIST_NUMBER.search(back) or (word and word[0].lower() in _ABBREVIATIONS))


def _math_spans(text: str, blanks: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the spans of mathematics; one that a blank line interrupts, or that nothing closes, is none.

    A ``$`` pairs with the next one only, and as in pandoc no space follows the opening one, none precedes the
    closing one and no digit follows it, so that amounts of money open nothing.
    """
    edges = [(match.start(), match[0]) for match in _MATH_EDGE.finditer(text)]
    places: dict[str, list[int]] = {closer: [] for closer in _CLOSER.values()}
    for place, edge in edges:
        if edge in places:
            places[edge].append(place)
    behind = 0
    for place, edge in edges:
        closer = _CLOSER.get(edge)
        if closer is None or place < behind:
            continue
        close = _first_above(places[closer], place)
        blank = _first_above(blanks, place)
        if (
            close is None
            or (blank is not None and blank <= close)
            or (edge == "$" and not _dollars(text, place, close))
        ):
            continue
        behind = close + len(closer)
        yield place, behind


def _dollars(text: str, place: int, close: int) -> bool:
    inside = text[place + 1], text[close - 1]
    return not any(c.isspace() for c in inside) and not text[close + 1 : close + 2].isdigit()


def _first_above(ordered: list[int], place: int) -> int | None:
    index = bisect_right(ordered, place)
    return ordered[index] if index < len(ordered) else None


def _nearest(gaps: list[int], target: int) -> int:
    after = bisect_left(gaps, target)
    around = gaps[max(0, after - 1) : after + 1]
    return min(around, key=lambda gap: abs(gap - target))
