"""Two jugs, a tap and a drain: measure an amount."""

from collections.abc import Iterator
from typing import NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle


class Levels(NamedTuple):
    """How full both are."""

    a: int
    b: int


class Jugs(Puzzle):
    """``fill A``, ``empty B``, ``pour A B``."""

    text = "Jug A holds {size_a} and jug B {size_b}. Both are empty. Get {wanted} in jug A in at most {limit} moves."
    size_a: int
    size_b: int
    wanted: int

    @property
    def start(self) -> Levels:
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
        return state.a == self.wanted

    def told(self, state: Levels) -> str:
        return f"{state.a} {state.b}"
