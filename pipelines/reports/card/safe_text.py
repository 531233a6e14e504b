"""Text from models and problem files inside Markdown: shown as is, and never interpreted.

It may look like the end of a code fence, a table cell, HTML, a link or a terminal's escape sequence.
"""

import re
from collections.abc import Sequence

from stepforge.pipelines.terminal.output import visible
from stepforge.pipelines.terminal.tables import shown

LONGEST = 2000
"""Characters of a text that are shown."""
_BACKTICKS = re.compile("`+")
_ACTIVE = re.compile(r"([\\`*\[\]<>#|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""What Markdown or HTML may act on; an underscore inside a word is none of it."""


def cell(text: object) -> str:
    """Return a text for one line of running Markdown, or a table's cell: everything active is escaped."""
    line = " ".join(visible(str(text)).split())
    return (
        _ACTIVE.sub(r"\\\1", shortened(line, 200)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
    )


def fenced(text: str, kind: str = "text", longest: int = LONGEST) -> str:
    """Return a text as a code block, with a fence longer than any run of backticks in it."""
    shown = shortened(visible(text), longest)
    run = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * max(3, run + 1)
    return f"{fence}{kind}\n{shown}\n{fence}"


def shortened(text: str, most: int) -> str:
    """Return a text, cut if it is too long to show, with the omitted length."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most} more characters)"


def table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """Return a Markdown table; cells are escaped, the head is ours."""
    lines = [head, ("---",) * len(head), *(tuple(cell(shown(value)) for value in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
