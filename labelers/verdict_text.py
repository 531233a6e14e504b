"""How a judge is shown a solution and how its verdict is read: numbered steps in, ``Wrong step: 3`` or ``none`` out.

The text between delimiters comes from a model and may try to instruct the judge or to imitate a verdict. Delimiters
therefore carry a mark that its writer cannot know; a judge trained on unmarked ones gets those, and a solution that
imitates them is not judged.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from stepforge.schemas.record import holding

VERDICT = "Wrong step:"
"""Opens the last line of every verdict; a 1-based number or ``none`` follows, and nothing else."""
NONE = "none"
_LAST_LINE = re.compile(rf"{VERDICT} (none|[1-9][0-9]{{0,3}})")
_IMITATION = re.compile(rf"\s*<[0-9]+>\s*|\s*{VERDICT}.*")


Template = Annotated[str, holding("{question}"), holding("{steps}")]


def filled(template: str, **parts: str) -> str:
    """Fill all placeholders in one pass, so inserted text cannot add placeholders."""
    places = "|".join(parts)
    return re.sub(rf"\{{({places})\}}", lambda place: parts[place[1]], template)


def numbered(steps: Sequence[str], mark: str = "") -> str:
    """Return steps between numbered delimiters, each on its own line."""
    return "".join(f"{delimiter(i + 1, mark)}\n{step.strip()}\n" for i, step in enumerate(steps))


def delimiter(number: int, mark: str = "") -> str:
    """Return the line that opens step ``number`` (from 1)."""
    return f"<{number} {mark}>" if mark else f"<{number}>"


def imitates(steps: Sequence[str], mark: str = "") -> bool:
    """Whether a step contains text that only the prompt or the judge may write."""
    return any((mark and mark in step) or any(map(_IMITATION.fullmatch, step.splitlines())) for step in steps)


def verdict_line(first_error: int | None) -> str:
    return f"{VERDICT} {NONE if first_error is None else first_error + 1}"


def read_verdict(text: str, steps: int) -> tuple[bool, int | None]:
    """Return (readable, 0-based first error or None) of a judge's answer.

    Strict: the last line must be exactly a verdict line and name a step that exists, and there must be no other;
    anything else is unreadable, and an unreadable verdict is no verdict.
    """
    lines = text.strip().splitlines()
    match = _LAST_LINE.fullmatch(lines[-1].strip()) if lines else None
    if match is None or text.count(VERDICT) != 1:
        return False, None
    if match[1] == NONE:
        return True, None
    number = int(match[1])
    return (True, number - 1) if number <= steps else (False, None)
