"""Puzzles by kind. To add one, write its file and add its name."""

from functools import lru_cache

from stepforge.grading.puzzles.blocks import Blocks
from stepforge.grading.puzzles.grid import Grid
from stepforge.grading.puzzles.jugs import Jugs
from stepforge.grading.puzzles.puzzle import Puzzle, TooLarge
from stepforge.grading.puzzles.river import River
from stepforge.grading.puzzles.trip import Trip
from stepforge.schemas.rollout import Outcome

KINDS = (Jugs, Grid, River, Blocks, Trip)


@lru_cache(maxsize=256)
def read_puzzle(question: str) -> Puzzle | None:
    """Return the puzzle that a question states, or None."""
    return next((puzzle for kind in KINDS if (puzzle := kind.read(question)) is not None), None)


def plan_outcome(question: str, answer: str) -> Outcome:
    """Carry out a plan, moves with commas between: any legal one that reaches the goal is right."""
    if (puzzle := read_puzzle(question)) is None:
        return "undetermined"
    return "correct" if puzzle.reaches_goal([move.strip() for move in answer.split(",")]) else "wrong"


__all__ = ["KINDS", "Puzzle", "TooLarge", "plan_outcome", "read_puzzle"]
