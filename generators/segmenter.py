"""What every segmenter is: positions to cut at, and pieces that joined with nothing between are the text."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import ClassVar

from stepforge.generators.whole_blocks import inside, whole_blocks
from stepforge.schemas.record import Record


class Segmenter(Record, ABC):
    """Cuts a text into pieces; an empty text has none."""

    inline: ClassVar[bool] = False
    """Whether mathematics within a line is kept whole too: for cuts that may fall anywhere in a line."""

    keeps_blocks: ClassVar[bool] = True
    """Whether no cut lies inside a code fence, a LaTeX environment or a display."""

    def __call__(self, text: str) -> tuple[str, ...]:
        blocks = whole_blocks(text, inline=self.inline) if self.keeps_blocks else []
        edges = [0, *(cut for cut in self.cuts(text) if not inside(cut, blocks)), len(text)]
        pieces = [text[a:b] for a, b in pairwise(edges) if a < b]
        return tuple(_with_blanks_joined(pieces) if any(map(str.isspace, pieces)) else pieces)

    @abstractmethod
    def cuts(self, text: str) -> Iterable[int]:
        """Return the positions to cut at, in order."""


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
