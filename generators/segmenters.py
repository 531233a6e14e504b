"""Parts that cut a solution into steps.

For every text the pieces, joined with nothing between, are the text exactly; none is empty, and none is only white
space unless the whole text is. No cut lies inside a code fence, a LaTeX environment or a display. Every cut is found
in linear time. A program in a code fence is cut by ``Statement`` and ``Block``, the text around it is not; if Python's
tokenizer fails, it is cut at lines.
"""

import re
import tokenize
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from stepforge.generators.sentence_ends import gap_cut, sentence_ends
from stepforge.generators.step_markers import step_starts
from stepforge.generators.whole_blocks import BLANK_LINES, inside, whole_blocks
from stepforge.grading.programs import fenced
from stepforge.schemas.own_part import OrOwn
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout

_WORD_GAP = re.compile(r"(?<!\s)\s++(?=\S)|(?<=[\u3040-\u30ff\u3400-\u9fff])(?=\w)")
_GOES_ON = ("else", "elif", "except", "finally", "case")
_DEFINES = ("def", "class", "async")
_LAYOUT = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)
LONG = 600
"""Characters of a solution that a person would have written in more than one step."""


class Segmenter(Record, ABC):
    """Cuts a text into pieces; an empty text has none. White space joins the piece before it, at the start the next."""

    inline: ClassVar[bool] = False
    """Whether mathematics within a line is kept whole too: for cuts that may fall anywhere in a line."""

    keeps_blocks: ClassVar[bool] = True
    """Whether no cut lies inside a code fence, a LaTeX environment or a display."""

    def __call__(self, text: str) -> tuple[str, ...]:
        blocks = whole_blocks(text, inline=self.inline) if self.keeps_blocks else []
        edges = [0, *(cut for cut in self.cuts(text) if not inside(cut, blocks)), len(text)]
        solid = [a for a, b in pairwise(edges) if a < b and not text[a:b].isspace()]
        return tuple(text[a:b] for a, b in pairwise([0, *solid[1:], len(text)]) if a < b)

    @abstractmethod
    def cuts(self, text: str) -> Iterable[int]:
        """Return the positions to cut at, in order."""


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


class Statement(Segmenter):
    """Cuts programs after every statement; the header of a loop or a condition is a separate step."""

    kind: Literal["statement"] = "statement"
    keeps_blocks: ClassVar[bool] = False

    def cuts(self, text: str) -> Iterable[int]:
        return _cuts(text, lambda line: True)


class Block(Segmenter):
    """Cuts programs after every statement of a function's own body: a loop, with all that is in it, is one step."""

    kind: Literal["block"] = "block"
    keeps_blocks: ClassVar[bool] = False

    def cuts(self, text: str) -> Iterable[int]:
        return _cuts(text, lambda line: line.within and line.word not in _GOES_ON)


AnySegmenter = Annotated[
    BlankLine | Line | StepMarker | Sentence | Pieces | Statement | Block, Field(discriminator="kind"), OrOwn(Segmenter)
]


def uncut(rollout: Rollout) -> bool:
    """Whether a whole solution that is long has stayed one step, of which no label says anything useful."""
    return rollout.start is None and len(rollout.steps) == 1 and len(rollout.steps[0].text) >= LONG


def uncut_warning(count: int, solutions: int, segmenter: str) -> str:
    return (
        f"{count} of {solutions} solutions are over {LONG} characters and one step: {segmenter} finds no steps in "
        "them; choose another policy.segmenter"
    )


def _nearest(gaps: list[int], target: int) -> int:
    after = bisect_left(gaps, target)
    around = gaps[max(0, after - 1) : after + 1]
    return min(around, key=lambda gap: abs(gap - target))


class _Line(NamedTuple):
    """A logical line: where it starts, in lines from 0, and what of its place decides about cuts."""

    row: int
    word: str
    within: bool
    """Whether all that it is indented under are functions and classes."""


def _cuts(text: str, starts_piece: Callable[[_Line], bool]) -> list[int]:
    cuts: set[int] = set()
    for start, end in fenced(text) or [(0, len(text))]:
        cuts |= {start, end}
        rows = re.findall(r"[^\n]*\n|[^\n]+", text[start:end])
        offsets = list(accumulate(map(len, rows), initial=start))
        decorated = False
        for line in _logical_lines(rows):
            if starts_piece(line) and not decorated:
                cuts.add(offsets[line.row])
            decorated = line.word == "@"
    return sorted(cuts)


def _logical_lines(rows: list[str]) -> Iterator[_Line]:
    """Yield the logical lines of a program, each with the comments right before it."""
    headers: list[bool] = []
    begun, word, row = False, "", -1
    comment: int | None = None
    try:
        for token in tokenize.generate_tokens(iter(rows).__next__):
            row = token.start[0] - 1
            if token.type == tokenize.INDENT:
                headers.append(word in _DEFINES)
            elif token.type == tokenize.DEDENT:
                headers.pop()
            elif token.type == tokenize.NEWLINE:
                begun, comment = False, None
            elif begun or token.type in _LAYOUT:
                continue
            elif token.type == tokenize.COMMENT:
                comment = row if comment is None else comment
            else:
                begun, word = True, token.string
                yield _Line(row if comment is None else comment, word, all(headers))
    except (tokenize.TokenError, SyntaxError, StopIteration, UnicodeDecodeError):
        for number, text in enumerate(rows[row + 1 :], start=row + 1):
            if words := text.split():
                yield _Line(number, words[0].strip(":"), len(text) - len(text.lstrip()) <= 4)
