"""Blocks in stacks: one at a time is moved."""

from collections.abc import Iterator
from typing import ClassVar

from stepforge.grading.puzzles.puzzle import Puzzle

TABLE = "table"

Stacks = frozenset[tuple[str, ...]]


class Blocks(Puzzle):
    """``A to B`` puts A on B, ``A to table`` on the table. A stack is written from the bottom up: ``A C``."""

    text = "Stacks from the bottom up: {stacks}. Make the stack {goal} in at most {limit} moves."
    lists: ClassVar = {"stacks": ("{}", ", ")}
    stacks: tuple[str, ...]
    goal: str

    @property
    def start(self) -> Stacks:
        return frozenset(tuple(stack.split()) for stack in self.stacks)

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
        return tuple(self.goal.split()) in state

    def told(self, state: Stacks) -> str:
        """Return the stacks in alphabetical order: ``A C, B``."""
        return ", ".join(" ".join(stack) for stack in sorted(state))
