"""Judging the moves of a plan by simulating them: ``fill A: 5 0`` is a move, and the state after it."""

from collections.abc import Iterable

from stepforge.grading.puzzle import TooLarge
from stepforge.grading.puzzles import read_puzzle
from stepforge.grading.statement import ANSWER
from stepforge.labelers.explained import Judged
from stepforge.schemas.problem import Problem


def judge_moves(problem: Problem, lines: Iterable[tuple[int, str]]) -> list[tuple[int, Judged]]:
    """Return the class of each line that makes a move or gives the plan, with the step that it belongs to.

    A move is wrong if it is illegal, if the state after it is not the one stated, or if the goal is then out of reach
    in the remaining moves. A detour is right.
    """
    puzzle = read_puzzle(problem.question)
    if puzzle is None:
        return []
    judged, state, made = [], puzzle.start, 0
    for step, line in lines:
        move, colon, told = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if move == ANSWER:
            reached = puzzle.reaches_goal([part.strip() for part in told.split(",")])
            judged.append((step, Judged("right" if reached else "wrong")))
            continue
        try:
            worth = puzzle.classify(state, move, made)
        except TooLarge:
            return []
        after = puzzle.after(state, move)
        if after is not None:
            state, made = after, made + 1
        right = worth in ("optimal", "detour") and told == puzzle.told(state)
        judged.append((step, Judged("right" if right else "wrong")))
    return judged
