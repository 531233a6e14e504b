"""Programs with one changed statement: their first wrong step is known, once tests show that the change matters.

Whether the tests fail is for their caller to find out; a change that no test notices is no bug.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

_SWAPS = (
    (r" \+ ", (" - ", " * ")),
    (r" - ", (" + ", " * ")),
    (r" \* ", (" + ", " - ")),
    (r" // ", (" % ",)),
    (r" > ", (" < ", " >= ")),
    (r" < ", (" > ", " <= ")),
    (r" == ", (" != ",)),
    (r" != ", (" == ",)),
    (r"\bappend\((.+)\)$", (r"append(-(\1))",)),
    (r"\breturn (\w+)$", (r"return \1 * 2", r"return \1 + \1 + \1")),
    (r"^(\s*\w+) = ''$", (r"\1 = 'a'",)),
    (r"^(\s*\w+) = \[\]$", (r"\1 = [1]",)),
    (r"\b([a-z]) \+ ([a-z])$", (r"\2 + \1",)),
)
_NUMBER = re.compile(r"(?<![\w'])\d+\b")


class Planted(NamedTuple):
    """A program whose line ``at`` (from 0) was changed; the lines before it are as they were."""

    text: str
    at: int


def planted_bugs(program: str, rng: Random) -> Iterator[Planted]:
    """Yield programs with one changed line, in random order; the ``def`` line stays.

    The lines after the changed one stay too: they are what the writer of the right program would go on with.
    """
    lines = program.splitlines(keepends=True)
    changed = [
        Planted("".join([*lines[:i], new, *lines[i + 1 :]]), i)
        for i in range(1, len(lines))
        for new in _changes(lines[i])
    ]
    rng.shuffle(changed)
    yield from changed


def _changes(line: str) -> Iterator[str]:
    body, ending = line.rstrip("\n"), line[len(line.rstrip("\n")) :]
    for pattern, replacements in _SWAPS:
        for replacement in replacements:
            new = re.sub(pattern, replacement, body, count=1)
            if new != body:
                yield new + ending
    for number in _NUMBER.finditer(body):
        for value in (int(number[0]) + 1, int(number[0]) - 1):
            if value >= 0:
                yield body[: number.start()] + str(value) + body[number.end() :] + ending
