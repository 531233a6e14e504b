"""Puzzles: the search finds shortest plans, each move has its class, and any plan that works is right."""

import asyncio
from itertools import product

import pytest

from stepforge.generators.families.plans import Plans
from stepforge.grading.puzzle import Puzzle, TooLarge
from stepforge.grading.puzzles import Jugs, Levels, plan_outcome, read_puzzle
from stepforge.grading.verdict import decide
from stepforge.pipelines.grading.grader import PooledGrader

JUGS = "Jug A holds 5 and jug B 3. Both are empty. Get 4 in jug A in at most 8 moves."
TRIP = (
    "It is 9 o'clock and you have 10 euros. The zoo is open from 9 to 18, takes 3 and costs 6. The park is open from "
    "9 to 12, takes 1 and costs 4. The tower is open from 9 to 18, takes 1 and costs 5. Getting to a place takes 1. "
    "Visit 2 places."
)


def puzzle_of(question: str) -> Puzzle:
    puzzle = read_puzzle(question)
    assert puzzle is not None
    return puzzle


@pytest.mark.parametrize("kind", ["jugs", "grid", "river", "blocks", "trip"])
def test_a_question_is_read_back_and_no_shorter_plan_exists(kind: str) -> None:
    part = Plans(puzzles=(kind,), levels=(1, 2, 3))
    for i in range(12):
        question = part.item(4, i).question
        puzzle = puzzle_of(question)
        assert puzzle.question == question
        plan = [move for move, _ in puzzle.plan(puzzle.start)]
        assert puzzle.reaches_goal(plan)
        states = {puzzle.start}
        for _ in range(len(plan) - 1):  # breadth first, in a second way: all states, move by move
            states |= {after for state in states for _, after in puzzle.moves(state)}
            assert not any(map(puzzle.solved, states))


def test_each_move_has_its_class() -> None:
    puzzle = puzzle_of(JUGS)
    assert puzzle.distance(puzzle.start) == 6
    assert puzzle.classify(Levels(0, 0), "fill A", 0) == "optimal"
    assert puzzle.classify(Levels(0, 0), "fill B", 0) == "detour"
    assert puzzle.classify(Levels(5, 0), "empty A", 1) == "detour"
    assert puzzle.classify(Levels(5, 0), "empty A", 2) == "dead_end"
    assert puzzle.classify(Levels(0, 0), "pour A B", 0) == "illegal"
    assert puzzle.classify(Levels(0, 0), "drink A", 0) == "illegal"


def test_every_plan_that_works_is_right_and_no_other() -> None:
    puzzle = puzzle_of("A robot stands at 0 0 on a grid of 2 by 3. Walls: 1 1. Go to 0 2 in at most 4 moves.")
    right = 0
    for length in range(1, 5):
        for moves in product(("left", "right", "up", "down"), repeat=length):
            x, y, legal = 0, 0, True
            for move in moves:
                x, y = x + (move == "right") - (move == "left"), y + (move == "up") - (move == "down")
                legal = legal and 0 <= x < 2 and 0 <= y < 3 and (x, y) != (1, 1)
            expected = legal and (x, y) == (0, 2)
            right += expected
            assert plan_outcome(puzzle.question, ", ".join(moves)) == ("correct" if expected else "wrong")
    assert right > 3


def test_a_trip_keeps_to_hours_and_budget() -> None:
    assert plan_outcome(TRIP, "park, zoo") == "correct"
    assert plan_outcome(TRIP, "tower, park") == "wrong", "12 o'clock is too late for the park"
    assert plan_outcome(TRIP, "zoo, tower") == "wrong", "11 euros"
    assert plan_outcome(TRIP, "park") == "wrong"
    assert puzzle_of(TRIP).classify(puzzle_of(TRIP).start, "zoo", 0) == "dead_end"


def test_what_is_no_puzzle_or_too_large_is_undetermined_or_said() -> None:
    assert plan_outcome("How far is it?", "left") == "undetermined"
    hostile = "A robot stands at 1 on a grid of 1 by 1. Walls: 1. Go to 1 in at most "
    assert plan_outcome(hostile * 60, "left") == "undetermined"  # at once: a search with backtracking takes minutes
    assert puzzle_of(f"Jug A holds water, and so does jug B. {JUGS}") == puzzle_of(JUGS)
    with pytest.raises(TooLarge):
        Jugs(size_a=100_003, size_b=99_991, wanted=7, limit=9).distance(Levels(0, 0))


def test_the_grader_takes_another_plan_for_right() -> None:
    problem = Plans(puzzles=("grid",), levels=(4,), spare=0).item(1, 3)
    puzzle = puzzle_of(problem.question)
    plans = [", ".join(plan) for plan in product(("left", "right", "up", "down"), repeat=puzzle.limit)]
    working = [plan for plan in plans if plan_outcome(problem.question, plan) == "correct"]
    assert problem.answer in working and len(working) > 1
    outcomes = asyncio.run(PooledGrader().grade(problem, [*working, "left, left, left", None]))
    assert outcomes == [*["correct"] * len(working), "wrong", "undetermined"]
    assert decide(problem.answer, "left, left, left", "plan") == "undetermined", "without its puzzle nobody knows"
