"""Parts that cut a solution into steps.

For every text the pieces, joined with nothing between, are the text exactly; none is empty, and none is only white
space unless the whole text is. No cut lies inside a code fence, a LaTeX environment or a display. Every cut is found
in linear time.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from stepforge.generators.code_segmenters import Block, Statement
from stepforge.generators.segmenter import Segmenter
from stepforge.generators.sentence_ends import gap_cut, sentence_ends
from stepforge.generators.step_markers import step_starts
from stepforge.generators.whole_blocks import BLANK_LINES, inside, whole_blocks
from stepforge.schemas.own_part import OrOwn

__all__ = ["AnySegmenter", "BlankLine", "Block", "Line", "Pieces", "Segmenter", "Sentence", "Statement", "StepMarker"]

_WORD_GAP = re.compile(r"(?<!\s)\s++(?=\S)|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=\w)")


class BlankLine(Segmenter):
    """Cuts after blank lines (lines of nothing but spaces, too): a step owns the blank lines after it."""

    kind: Literal["blank_line"] = "blank_line"

    def cuts(self, text: str) -> Iterable[int]:
        return (match.end() for match in BLANK_LINES.finditer(text))


class Line(Segmenter):
    """Cuts after every line break."""

    kind: Literal["line"] = "line"

    def cuts(self, text: str) -> Iterable[int]:
        return accumulate(len(line) + 1 for line in text.split("\n")[:-1])


class StepMarker(Segmenter):
    """Cuts before lines that open a step, such as ``Step 2:`` and ``**2. Schritt**``; else before numbered items; else
    before sentences such as ``Second, ...`` and ``Finally, ...``.

    Text before the first marker belongs to the first step.
    """

    kind: Literal["step_marker"] = "step_marker"

    def cuts(self, text: str) -> Iterable[int]:
        return step_starts(text)[1:]


class Sentence(Segmenter):
    """Cuts between sentences, never inside ``$...$`` or ``\\(...\\)``, and after blank lines.

    The space goes to the next sentence; line breaks stay with the sentence before.
    """

    kind: Literal["sentence"] = "sentence"
    inline: ClassVar[bool] = True

    def cuts(self, text: str) -> Iterable[int]:
        blanks = [match.end() for match in BLANK_LINES.finditer(text)]
        return sorted({*blanks, *sentence_ends(text)})


class Pieces(Segmenter):
    """Cuts between words into about ``count`` pieces of about equal length (OmegaPRM, arXiv 2406.06592, 4.2)."""

    kind: Literal["pieces"] = "pieces"
    inline: ClassVar[bool] = True
    count: int = Field(default=16, ge=1, le=1000)
    """Pieces aimed for; a text of fewer words has fewer."""

    def cuts(self, text: str) -> Iterable[int]:
        """Return, for each equal division, the nearest gap between words."""
        blocks = whole_blocks(text, inline=True)
        gaps = [gap for m in _WORD_GAP.finditer(text) if not inside(gap := gap_cut(text, *m.span()), blocks)]
        if not gaps:
            return []
        targets = [len(text) * k // self.count for k in range(1, self.count)]
        return sorted({_nearest(gaps, target) for target in targets})


AnySegmenter = Annotated[
    BlankLine | Line | StepMarker | Sentence | Pieces | Statement | Block, Field(discriminator="kind"), OrOwn(Segmenter)
]


def _nearest(gaps: list[int], target: int) -> int:
    after = bisect_left(gaps, target)
    around = gaps[max(0, after - 1) : after + 1]
    return min(around, key=lambda gap: abs(gap - target))
