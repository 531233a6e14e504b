"""Blocks in stacks: one at a time is moved."""

import re
from collections.abc import Iterator

from stepforge.grading.puzzles.puzzle import Puzzle

_QUESTION = re.compile(r"Stacks from the bottom up: ([A-Z ,]+)\. Make the stack ([A-Z ]+) in at most (\d+) moves")
TABLE = "table"

Stacks = frozenset[tuple[str, ...]]


class Blocks(Puzzle):
    """``A to B`` puts A on B, ``A to table`` on the table."""

    stacks: tuple[tuple[str, ...], ...]
    goal: tuple[str, ...]

    @classmethod
    def read(cls, question: str) -> "Blocks | None":
        if (found := _QUESTION.search(question)) is None:
            return None
        stacks = tuple(tuple(stack.split()) for stack in found[1].split(","))
        return cls(stacks=stacks, goal=tuple(found[2].split()), limit=int(found[3]))

    @property
    def question(self) -> str:
        return (
            f"Stacks from the bottom up: {self.told(self.start)}. Make the stack {' '.join(self.goal)} "
            f"in at most {self.limit} moves."
        )

    @property
    def start(self) -> Stacks:
        """The stacks as they stand."""
        return frozenset(self.stacks)

    def moves(self, state: Stacks) -> Iterator[tuple[str, Stacks]]:
        """Yield every move of a top block."""
        for stack in sorted(state):
            *rest, block = stack
            left = state - {stack} | ({tuple(rest)} if rest else set())
            for other in sorted(state - {stack}):
                yield f"{block} to {other[-1]}", left - {other} | {(*other, block)}
            if rest:
                yield f"{block} to {TABLE}", left | {(block,)}

    def solved(self, state: Stacks) -> bool:
        """Return whether the stack stands."""
        return self.goal in state

    def told(self, state: Stacks) -> str:
        """Return the stacks in alphabetical order: ``A C, B``."""
        return ", ".join(" ".join(stack) for stack in sorted(state))
