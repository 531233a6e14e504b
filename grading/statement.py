"""The grammar of a procedural solution: a claim a line, ``name = expression = value`` or ``Answer: value``."""

from typing import NamedTuple

REPAIR_MARK = "Wait: "
"""Opens a line that states again, rightly, a quantity that an earlier line got wrong."""
ANSWER = "Answer"
"""The name under which a solution states its final answer."""


class Claim(NamedTuple):
    name: str
    sides: tuple[str, ...]
    """The expressions that the line says are equal, the stated value last."""


def read_claim(line: str) -> Claim | None:
    """Return the claim of a line, or None if it makes none (no ``=`` and no ``Answer:``)."""
    text = line.strip().removeprefix(REPAIR_MARK.strip()).strip()
    if text.startswith(f"{ANSWER}:"):
        return Claim(ANSWER, (text[len(ANSWER) + 1 :].strip(),))
    name, *sides = (part.strip() for part in text.split("="))
    return Claim(name, tuple(sides)) if sides else None
