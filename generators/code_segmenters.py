"""Parts that cut programs: into statements, or into blocks that keep a loop or a condition together.

A program in a code fence is cut, the text around it is not. If Python's tokenizer fails, it is cut at lines.
"""

import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import ClassVar, Literal, NamedTuple

from stepforge.generators.segmenter import Segmenter
from stepforge.grading.programs import fenced

_GOES_ON = ("else", "elif", "except", "finally", "case")
_DEFINES = ("def", "class", "async")
_LAYOUT = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


class _Line(NamedTuple):
    """A logical line: where it starts, in lines from 0, and what of its place decides about cuts."""

    row: int
    word: str
    depth: int
    within: bool
    """Whether all that it is indented under are functions and classes."""


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


def _cuts(text: str, starts_piece: Callable[[_Line], bool]) -> list[int]:
    cuts: set[int] = set()
    for start, end in fenced(text) or [(0, len(text))]:
        cuts |= {start, end}
        rows = re.findall(r"[^\n]*\n|[^\n]+", text[start:end])
        offsets = [start, *accumulate(map(len, rows), initial=start)][1:]
        decorated = False
        for line in _logical_lines(rows):
            if starts_piece(line) and not decorated:
                cuts.add(offsets[line.row])
            decorated = line.word == "@"
    return sorted(cuts)


def _logical_lines(rows: list[str]) -> Iterator[_Line]:
    """Yield the logical lines of a program, each with the comments right before it."""
    headers: list[bool] = []
    begun = comment = None
    word, row = "", -1
    try:
        for token in tokenize.generate_tokens(iter(rows).__next__):
            row = token.start[0] - 1
            if token.type == tokenize.INDENT:
                headers.append(word in _DEFINES)
            elif token.type == tokenize.DEDENT:
                headers.pop()
            elif token.type == tokenize.COMMENT and begun is None:
                comment = row if comment is None else comment
            elif token.type == tokenize.NEWLINE:
                begun = comment = None
            elif token.type not in _LAYOUT and token.type != tokenize.COMMENT and begun is None:
                begun, word = row, token.string
                yield _Line(begun if comment is None else comment, word, len(headers), all(headers))
    except (tokenize.TokenError, SyntaxError, StopIteration):
        yield from _plain_lines(rows, row + 1)


def _plain_lines(rows: list[str], first: int) -> Iterator[_Line]:
    for row in range(max(first, 0), len(rows)):
        if rows[row].strip():
            depth = len(rows[row]) - len(rows[row].lstrip())
            yield _Line(row, rows[row].split()[0].strip(":"), depth, depth <= 4)
