"""Floor plans: areas of rooms with holes, or lengths of walls with doors, summed up or compared, and what they take."""

from collections.abc import Iterator
from random import Random
from typing import ClassVar, Literal, NamedTuple

from stepforge.generators.draft import MOST_PARTS, Draft, Say, Sentence, plus, summed
from stepforge.generators.family import Family
from stepforge.grading.exact import Exact

ROOMS = "kitchen hall office attic garage studio library bedroom workshop cellar".split()
HOLES = "shaft pond pillar fountain staircase".split()


class _Room(NamedTuple):
    name: str
    sides: tuple[int, int]
    hole: str
    gap: tuple[int, int]
    """The sides of the hole, or the width of the doors; zeros where there is none."""


class _Plan(NamedTuple):
    wall: bool
    """Whether walls are measured, not floors."""
    rooms: tuple[_Room, ...]
    compared: bool
    """Whether the second room is taken from the first, not added."""
    take: int
    """Tiles or nails for each meter; 0 where meters are asked for."""
    spare: int

    @property
    def piece(self) -> str:
        return "nails" if self.wall else "tiles"


class Areas(Family):
    """``The kitchen is 5 by 7 meters. A shaft of 2 by 1 meters takes up a part of the kitchen. ...``"""

    kind: Literal["areas"] = "areas"
    domain: ClassVar[str] = "geometry"

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one plan of ``level + 1`` steps; drawn again until every value is small and above zero."""
        while True:
            draft = _draft(_plan(rng, level))
            if draft.fits(level + 1):
                return draft


def _plan(rng: Random, level: int) -> _Plan:
    wall = rng.random() < 0.4
    names = rng.sample(ROOMS, rng.randint(1, min(MOST_PARTS, 1 + level // 2)))
    compared = len(names) == 2 and rng.random() < 0.3
    take = rng.randint(2, 5) if not compared and rng.random() < 0.5 else 0
    spare = rng.randint(2, 9 + 2 * level) if take and rng.random() < 0.5 else 0
    return _Plan(wall, tuple(_room(rng, name, level, wall=wall) for name in names), compared, take, spare)


def _room(rng: Random, name: str, level: int, *, wall: bool) -> _Room:
    a, b = rng.randint(3, 6 + level), rng.randint(3, 6 + level)
    if rng.random() < 0.5:
        return _Room(name, (a, b), "", (0, 0))
    gap = (rng.randint(2, 4), 0) if wall else (rng.randint(1, a - 1), rng.randint(1, b - 1))
    return _Room(name, (a, b), rng.choice(HOLES), gap)


def _work(plan: _Plan, say: Say) -> Exact:
    of = _wall if plan.wall else _floor
    first, *others = (of(room, place, say) for place, room in enumerate(plan.rooms, start=1))
    total = summed([first, *(-size if plan.compared else size for size in others)], say)
    if plan.take:
        total = say("take", f"{total} * {plan.take}", total * plan.take)
    return say("more", f"{total} + {plan.spare}", total + plan.spare) if plan.spare else total


def _floor(room: _Room, place: int, say: Say) -> int:
    (a, b), (c, d) = room.sides, room.gap
    area = say(f"area{place}", f"{a} * {b}", a * b)
    if not c:
        return area
    hole = say(f"hole{place}", f"{c} * {d}", c * d)
    return say(f"rest{place}", plus(area, -hole), area - hole)


def _wall(room: _Room, place: int, say: Say) -> int:
    (a, b), (doors, _) = room.sides, room.gap
    side = say(f"side{place}", f"{a} + {b}", a + b)
    walls = say(f"walls{place}", f"2 * {side}", 2 * side)
    return say(f"open{place}", f"{walls} - {doors}", walls - doors) if doors else walls


def _draft(plan: _Plan) -> Draft:
    parts = " ".join("gap" if any(room.gap) else "whole" for room in plan.rooms)
    return Draft(
        question=tuple(_told(plan)),
        work=lambda say: _work(plan, say),
        shape=f"{'wall' if plan.wall else 'floor'} {parts} {plan.compared} {plan.take} {bool(plan.spare)}",
    )


def _told(plan: _Plan) -> Iterator[Sentence]:
    for room in plan.rooms:
        slots = {"room": room.name, "hole": room.hole}
        yield Sentence("q_room", slots | dict(zip("nm", map(str, room.sides), strict=True)))
        if any(room.gap):
            gap = dict(zip("nm", map(str, room.gap), strict=True))
            yield Sentence("q_doors" if plan.wall else "q_hole", slots | gap)
    slots = {"piece": plan.piece}
    if plan.take:
        yield Sentence(f"q_{plan.piece}", slots | {"n": str(plan.take)})
    if plan.spare:
        yield Sentence("q_spare", slots | {"n": str(plan.spare)})
    if plan.compared:
        first, second = plan.rooms
        yield Sentence("q_longer" if plan.wall else "q_larger", {"room": first.name, "other": second.name})
    else:
        yield Sentence("q_pieces" if plan.take else "q_wall" if plan.wall else "q_floor", slots)
