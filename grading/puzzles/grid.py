"""A robot on a grid with walls."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)}


class Cell(NamedTuple):
    """A place on the grid, counted from 0 at the left and at the bottom."""

    x: int
    y: int


class Grid(Puzzle):
    """``left``, ``right``, ``up``, ``down``."""

    text = (
        "A robot stands at {robot} on a grid of {width} by {height}. Walls: {walls}. "
        "Go to {goal} in at most {limit} moves."
    )
    lists: ClassVar = {"robot": ("{}", " "), "walls": ("{} {}", ", "), "goal": ("{}", " ")}
    width: int
    height: int
    walls: tuple[Cell, ...]
    robot: Cell
    goal: Cell

    @property
    def start(self) -> Cell:
        return self.robot

    def moves(self, state: Cell) -> Iterator[tuple[str, Cell]]:
        """Yield the moves that stay on the grid and meet no wall."""
        for name, (x, y) in DIRECTIONS.items():
            after = Cell(state.x + x, state.y + y)
            if 0 <= after.x < self.width and 0 <= after.y < self.height and after not in self.walls:
                yield name, after

    def solved(self, state: Cell) -> bool:
        return state == self.goal

    def told(self, state: Cell) -> str:
        return f"{state.x} {state.y}"
