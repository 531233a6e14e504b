"""Parts that cut a solution into steps.

For every text the pieces, joined with nothing between, are the text exactly; none is empty, and none is only white
space unless the whole text is. No cut lies inside a code fence, a LaTeX environment or a display. Every cut is found
in linear time.
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from stepforge.generators.sentence_ends import gap_cut, sentence_ends
from stepforge.generators.step_markers import step_starts
from stepforge.generators.whole_blocks import BLANK_LINES, inside, whole_blocks
from stepforge.schemas.own_part import OrOwn
from stepforge.schemas.record import Record

_WORD_GAP = re.compile(r"(?<!\s)\s++(?=\S)|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=\w)")


class Segmenter(Record, ABC):
    """Cuts a text into pieces; an empty text has none."""

    inline: ClassVar[bool] = False
    """Whether mathematics within a line is kept whole too: for cuts that may fall anywhere in a line."""

    def __call__(self, text: str) -> tuple[str, ...]:
        """Return the pieces."""
        blocks = whole_blocks(text, inline=self.inline)
        edges = [0, *(cut for cut in self.cuts(text) if not inside(cut, blocks)), len(text)]
        pieces = [text[a:b] for a, b in pairwise(edges) if a < b]
        return tuple(_with_blanks_joined(pieces) if any(map(str.isspace, pieces)) else pieces)

    @abstractmethod
    def cuts(self, text: str) -> Iterable[int]:
        """Return the positions to cut at, in order."""


class BlankLine(Segmenter):
    """Cuts after blank lines (lines of nothing but spaces, too): a step owns the blank lines after it."""

    kind: Literal["blank_line"] = "blank_line"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the ends of runs of blank lines."""
        return (match.end() for match in BLANK_LINES.finditer(text))


class Line(Segmenter):
    """Cuts after every line break."""

    kind: Literal["line"] = "line"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the ends of lines."""
        return accumulate(len(line) + 1 for line in text.split("\n")[:-1])


class StepMarker(Segmenter):
    """Cuts before lines that open a step, such as ``Step 2:`` and ``**2. Schritt**``; else before numbered items.

    What stands before the first marker belongs to the first step.
    """

    kind: Literal["step_marker"] = "step_marker"

    def cuts(self, text: str) -> Iterable[int]:
        """Return the starts of all marked lines but the first."""
        return step_starts(text)[1:]


class Sentence(Segmenter):
    """Cuts between sentences, never inside ``$...$`` or ``\\(...\\)``, and after blank lines.

    The space goes to the next sentence; line breaks stay with the sentence before.
    """

    kind: Literal["sentence"] = "sentence"
    inline: ClassVar[bool] = True

    def cuts(self, text: str) -> Iterable[int]:
        """Return the positions between sentences."""
        blanks = [match.end() for match in BLANK_LINES.finditer(text)]
        return sorted({*blanks, *sentence_ends(text)})


class Pieces(Segmenter):
    """Cuts between words into about ``count`` pieces of about equal length (OmegaPRM, arXiv 2406.06592, 4.2)."""

    kind: Literal["pieces"] = "pieces"
    inline: ClassVar[bool] = True
    count: int = Field(default=16, ge=1, le=1000)
    """Pieces aimed for; a text of fewer words has fewer."""

    def cuts(self, text: str) -> Iterable[int]:
        """Return, for each equal division, the gap between words that lies nearest."""
        blocks = whole_blocks(text, inline=True)
        gaps = [gap for m in _WORD_GAP.finditer(text) if not inside(gap := gap_cut(text, *m.span()), blocks)]
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


def _nearest(gaps: list[int], target: int) -> int:
    after = bisect_left(gaps, target)
    around = gaps[max(0, after - 1) : after + 1]
    return min(around, key=lambda gap: abs(gap - target))
