"""Puzzles to be solved by a plan of legal moves, and days out under a budget and opening hours."""

from collections.abc import Callable
from random import Random
from typing import ClassVar, Literal

from pydantic import Field

from stepforge.generators.family import Worked, WorkedFamily
from stepforge.grading.puzzle import Puzzle
from stepforge.grading.puzzles import Blocks, Cell, Grid, Jugs, Place, River, Trip

PuzzleKind = Literal["jugs", "grid", "river", "blocks", "trip"]
Maker = Callable[[Random, int], Puzzle]
EATERS = (("fox", "hen"), ("hen", "corn"), ("cat", "mouse"), ("mouse", "cheese"), ("wolf", "goat"), ("goat", "hay"))
PLACES = ["museum", "zoo", "park", "tower", "castle", "market", "garden", "harbor"]
DRAWS = 40
UNBOUNDED = 99


class Plans(WorkedFamily):
    """``Jug A holds 5 and jug B 3. ... Get 4 in jug A in at most 7 moves.``"""

    kind: Literal["plans"] = "plans"
    domain: ClassVar[str] = "plans"
    puzzles: tuple[PuzzleKind, ...] = Field(default=("jugs", "grid", "river", "blocks", "trip"), min_length=1)
    """Kinds to draw from. The shortest plan has a move more than the level."""
    spare: int = Field(default=1, ge=0)
    """Most moves that a plan may have beyond the shortest one."""

    def work(self, rng: Random, level: int) -> Worked:
        """Write one puzzle of a kind; of some draws the one whose shortest plan is nearest to the level's length."""
        puzzle, left = self._drawn(rng, level)
        if not isinstance(puzzle, Trip):
            puzzle = puzzle.model_copy(update={"limit": left + rng.randint(0, self.spare)})
        plan = puzzle.plan(puzzle.start)
        return Worked(
            question=puzzle.question,
            lines=tuple(f"{move}: {puzzle.told(state)}" for move, state in plan),
            answer=", ".join(move for move, _ in plan),
            answer_kind="plan",
            reading="moves",
            shape=puzzle.question,
            drawn=puzzle,
        )

    def _drawn(self, rng: Random, level: int) -> tuple[Puzzle, int]:
        make = _MAKERS[rng.choice(self.puzzles)]
        nearest: tuple[Puzzle, int] | None = None
        for _ in range(DRAWS):
            puzzle = make(rng, level)
            left = puzzle.distance(puzzle.start)
            if left and (nearest is None or abs(left - level - 1) < abs(nearest[1] - level - 1)):
                nearest = puzzle, left
            if left == level + 1:
                break
        return nearest or self._drawn(rng, level)


def _jugs(rng: Random, level: int) -> Puzzle:
    size_a, size_b = rng.sample(range(2, 8), 2)
    return Jugs(size_a=size_a, size_b=size_b, wanted=rng.randint(1, size_a), limit=UNBOUNDED)


def _grid(rng: Random, level: int) -> Puzzle:
    width, height = (rng.randint(3, 3 + (level > 3)) for _ in range(2))
    cells = [Cell(x, y) for x in range(width) for y in range(height)]
    robot, goal, *walls = rng.sample(cells, rng.randint(3, 5))
    return Grid(width=width, height=height, robot=robot, goal=goal, walls=tuple(sorted(walls)), limit=UNBOUNDED)


def _river(rng: Random, level: int) -> Puzzle:
    eats = rng.choice(EATERS)
    party = set(eats)
    chain = [eats]
    if level > 2:
        other = rng.choice(EATERS)
        party |= set(other[:1] if rng.random() < 0.5 else other)
        chain += [other] if set(other) <= party and other != eats else []
    return River(party=tuple(rng.sample(sorted(party), len(party))), eats=tuple(chain), limit=UNBOUNDED)


def _blocks(rng: Random, level: int) -> Puzzle:
    names = "ABCD"[: rng.choice((3, 3 + (level > 2)))]
    return Blocks(stacks=_stacked(rng, names), goal=" ".join(rng.sample(names, rng.randint(2, 3))), limit=UNBOUNDED)


def _stacked(rng: Random, names: str) -> tuple[str, ...]:
    stacks: list[str] = []
    for name in rng.sample(names, len(names)):
        place = rng.randint(0, len(stacks))
        if place == len(stacks):
            stacks.append(name)
        else:
            stacks[place] += f" {name}"
    return tuple(sorted(stacks))


def _trip(rng: Random, level: int) -> Puzzle:
    count = min(level + 1, 4)
    names = rng.sample(PLACES, count + 1)
    places = []
    for name in names:
        opens, takes = rng.randint(8, 13), rng.randint(1, 3)
        closes = min(20, opens + takes + rng.randint(0, 6))
        places.append(Place(name, opens, closes, takes, rng.randint(1, 9)))
    budget = sum(sorted(p.costs for p in places)[:count]) + rng.randint(0, 4)
    return Trip(hour=rng.randint(8, 10), budget=budget, travel=1, places=tuple(places), limit=count)


_MAKERS: dict[PuzzleKind, Maker] = {"jugs": _jugs, "grid": _grid, "river": _river, "blocks": _blocks, "trip": _trip}
