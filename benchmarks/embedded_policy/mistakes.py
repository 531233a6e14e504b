"""Worked solutions for training, right ones and ones with a mistake: it is not learned itself, what follows it is."""

import re
from collections.abc import Sequence
from random import Random

from benchmarks.embedded_policy.slips import Piece, wrong_value
from stepforge.generators.families.logic import Case
from stepforge.generators.families.tools import Story, line_of, quantities_of
from stepforge.generators.family import Worked
from stepforge.grading.calls import CLOSE, OPEN, worth_a_call
from stepforge.grading.puzzle import Puzzle
from stepforge.schemas.problem import Quantity

_ANSWERED = re.compile(r"(?<=>>)( = [^\n]*\n)")
"""What a calculator answered: the policy does not learn to write it."""


def right(worked: Worked) -> list[Piece]:
    return _learned([*worked.lines, f"Answer: {worked.answer}"])


def mistaken(worked: Worked, rng: Random) -> list[Piece]:
    """Return a solution with a mistake of the family's kind."""
    match worked.drawn:
        case Case() as case:
            return _in_logic(case, rng)
        case Story() as story:
            return _in_story(story, rng)
        case Puzzle() as puzzle:
            return _in_plan(puzzle, rng)
        case _:
            raise TypeError(f"no mistakes for {type(worked.drawn).__name__}")


def _learned(lines: Sequence[str]) -> list[Piece]:
    """Return lines to be learned, but for what a calculator answered in them."""
    parts = _ANSWERED.split("\n".join(lines))
    return [Piece(part, learn=i % 2 == 0) for i, part in enumerate(parts) if part]


def _in_logic(case: Case, rng: Random) -> list[Piece]:
    """Return a solution in which a rule is applied that does not apply."""
    at = rng.randrange(len(case.steps))
    wrong, step = rng.choice(case.others)
    before = "".join(f"{line}\n" for line in case.steps[:at])
    pieces = [*([Piece(before)] if before else []), Piece(f"{step}\n", learn=False)]
    if rng.random() < 0.25:
        return [*pieces, *_learned([*case.steps[at:], f"Answer: {case.answer}"])]
    return [*pieces, Piece(f"Answer: {wrong}")]


def _in_plan(puzzle: Puzzle, rng: Random) -> list[Piece]:
    """Return a solution with one legal move off the shortest way, and the best that can be done after it."""
    plan = puzzle.plan(puzzle.start)
    at = rng.randrange(len(plan))
    state = plan[at - 1][1] if at else puzzle.start
    off = [(m, s) for m, s in puzzle.moves(state) if m != plan[at][0] and puzzle.distance(s) is not None]
    if not off:
        return _learned([*(f"{m}: {puzzle.told(s)}" for m, s in plan), f"Answer: {', '.join(m for m, _ in plan)}"])
    move, after = rng.choice(off)
    rest = puzzle.plan(after)
    before = "".join(f"{m}: {puzzle.told(s)}\n" for m, s in plan[:at])
    moves = [*(m for m, _ in plan[:at]), move, *(m for m, _ in rest)]
    return [
        *([Piece(before)] if before else []),
        Piece(f"{move}: {puzzle.told(after)}\n", learn=False),
        *_learned([*(f"{m}: {puzzle.told(s)}" for m, s in rest), f"Answer: {', '.join(moves)}"]),
    ]


def _in_story(story: Story, rng: Random) -> list[Piece]:
    """Return a solution with a wrong value, or one whose calls are spent before the product that needs one."""
    honest = quantities_of(story)
    at = rng.randrange(1, len(honest))
    true = int(honest[at].value)
    by_head = [i for i, q in enumerate(honest) if worth_a_call(q.expression)]
    early = [i for i, q in enumerate(honest) if q.expression and not worth_a_call(q.expression) and i < by_head[-1]]
    if early and rng.random() < 0.4:
        return _spent(honest, rng.choice(early), by_head[-1])
    offset = int(str(wrong_value(rng, true))) - true
    wrong = quantities_of(story, (at, offset))
    value = f" {wrong[at].value}"
    after = [line_of(quantity) for quantity in wrong[at + 1 :]]
    return [
        *_learned([*(line_of(q) for q in honest[:at]), wrong[at].statement.removesuffix(value)]),
        Piece(value, learn=False),
        *_learned(["", *after, f"Answer: {wrong[-1].value}"]),
    ]


def _spent(honest: tuple[Quantity, ...], early: int, last: int) -> list[Piece]:
    """Return a solution that calls once too early, is refused later, and works the product out by itself."""
    before, needless, between = honest[:early], honest[early], honest[early + 1 : last]
    return [
        *_learned([*(line_of(q) for q in before), ""]),
        Piece(f"{needless.name} = {OPEN}{needless.expression}{CLOSE} = {needless.value}\n", learn=False),
        *_learned(
            [
                *(line_of(q) for q in between),
                *(line_of(q, call=False) for q in honest[last:]),
                f"Answer: {honest[-1].value}",
            ]
        ),
    ]
