"""A robot on a grid with walls."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle

_QUESTION = re.compile(
    r"A robot stands at (\d+) (\d+) on a grid of (\d+) by (\d+)\. Walls: ((?:\d+ \d+(?:, )?)+)\. "
    r"Go to (\d+) (\d+) in at most (\d+) moves"
)
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)}


class Cell(NamedTuple):
    """A place on the grid, counted from 0 at the left and at the bottom."""

    x: int
    y: int


class Grid(Puzzle):
    """``left``, ``right``, ``up``, ``down``."""

    width: int
    height: int
    walls: tuple[Cell, ...]
    robot: Cell
    goal: Cell

    @classmethod
    def read(cls, question: str) -> "Grid | None":
        if (found := _QUESTION.search(question)) is None:
            return None
        x, y, width, height, walls, goal_x, goal_y, limit = found.groups()
        return cls(
            width=int(width),
            height=int(height),
            walls=tuple(Cell(*map(int, wall.split())) for wall in walls.split(", ")),
            robot=Cell(int(x), int(y)),
            goal=Cell(int(goal_x), int(goal_y)),
            limit=int(limit),
        )

    @property
    def question(self) -> str:
        walls = ", ".join(map(self.told, self.walls))
        return (
            f"A robot stands at {self.told(self.robot)} on a grid of {self.width} by {self.height}. Walls: {walls}. "
            f"Go to {self.told(self.goal)} in at most {self.limit} moves."
        )

    @property
    def start(self) -> Cell:
        """Where the robot stands."""
        return self.robot

    def moves(self, state: Cell) -> Iterator[tuple[str, Cell]]:
        """Yield the moves that stay on the grid and meet no wall."""
        for name, (x, y) in DIRECTIONS.items():
            after = Cell(state.x + x, state.y + y)
            if 0 <= after.x < self.width and 0 <= after.y < self.height and after not in self.walls:
                yield name, after

    def solved(self, state: Cell) -> bool:
        """Return whether the robot is where it should be."""
        return state == self.goal

    def told(self, state: Cell) -> str:
        """Return ``2 1``."""
        return f"{state.x} {state.y}"
