"""Two jugs, a tap and a drain: measure an amount."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle

_QUESTION = re.compile(
    r"Jug A holds (\d+) and jug B (\d+)\. Both are empty\. Get (\d+) in jug A in at most (\d+) moves"
)


class Levels(NamedTuple):
    """How full both are."""

    a: int
    b: int


class Jugs(Puzzle):
    """``fill A``, ``empty B``, ``pour A B``."""

    size_a: int
    size_b: int
    wanted: int

    @classmethod
    def read(cls, question: str) -> "Jugs | None":
        if (found := _QUESTION.search(question)) is None:
            return None
        a, b, wanted, limit = map(int, found.groups())
        return cls(size_a=a, size_b=b, wanted=wanted, limit=limit)

    @property
    def question(self) -> str:
        return (
            f"Jug A holds {self.size_a} and jug B {self.size_b}. Both are empty. "
            f"Get {self.wanted} in jug A in at most {self.limit} moves."
        )

    @property
    def start(self) -> Levels:
        """Both are empty."""
        return Levels(0, 0)

    def moves(self, state: Levels) -> Iterator[tuple[str, Levels]]:
        """Yield the moves that change something."""
        a, b = state
        poured, back = min(a, self.size_b - b), min(b, self.size_a - a)
        every = {
            "fill A": Levels(self.size_a, b),
            "fill B": Levels(a, self.size_b),
            "empty A": Levels(0, b),
            "empty B": Levels(a, 0),
            "pour A B": Levels(a - poured, b + poured),
            "pour B A": Levels(a + back, b - back),
        }
        yield from ((move, after) for move, after in every.items() if after != state)

    def solved(self, state: Levels) -> bool:
        """Return whether jug A holds what is wanted."""
        return state.a == self.wanted

    def told(self, state: Levels) -> str:
        """Return ``3 0``."""
        return f"{state.a} {state.b}"
