"""A day out: places with opening hours and prices, a budget, and time to get from one to the next."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle
from stepforge.schemas.record import Record

_QUESTION = re.compile(r"It is (\d+) o'clock and you have (\d+) euros\. (.+?) Getting to a place takes (\d+)")
_PLACE = re.compile(r"The (\w+) is open from (\d+) to (\d+), takes (\d+) and costs (\d+)\.")
_LIMIT = re.compile(r"Visit (\d+) places")


class Place(Record):
    """When it is open, how long a visit takes, in hours, and what it costs."""

    name: str
    opens: int
    closes: int
    takes: int
    costs: int


class Day(NamedTuple):
    """The hour, the money left, and what was seen."""

    hour: int
    money: int
    seen: frozenset[str]


class Trip(Puzzle):
    """A move names the place to visit next; ``limit`` is how many there are to be."""

    hour: int
    budget: int
    travel: int
    """Hours to get to a place."""
    places: tuple[Place, ...]

    @classmethod
    def read(cls, question: str) -> "Trip | None":
        found, limit = _QUESTION.search(question), _LIMIT.search(question)
        if found is None or limit is None:
            return None
        places = (
            Place(name=name, opens=int(opens), closes=int(closes), takes=int(takes), costs=int(costs))
            for name, opens, closes, takes, costs in _PLACE.findall(found[3])
        )
        hour, budget, travel = int(found[1]), int(found[2]), int(found[4])
        return cls(hour=hour, budget=budget, travel=travel, places=tuple(places), limit=int(limit[1]))

    @property
    def question(self) -> str:
        places = " ".join(
            f"The {p.name} is open from {p.opens} to {p.closes}, takes {p.takes} and costs {p.costs}."
            for p in self.places
        )
        return (
            f"It is {self.hour} o'clock and you have {self.budget} euros. {places} "
            f"Getting to a place takes {self.travel}. Visit {self.limit} places."
        )

    @property
    def start(self) -> Day:
        """Nothing is seen yet."""
        return Day(self.hour, self.budget, frozenset())

    def moves(self, state: Day) -> Iterator[tuple[str, Day]]:
        """Yield the places that can be paid and seen before they close."""
        if len(state.seen) == self.limit:
            return
        for place in self.places:
            ends = max(state.hour + self.travel, place.opens) + place.takes
            if place.name not in state.seen and ends <= place.closes and place.costs <= state.money:
                yield place.name, Day(ends, state.money - place.costs, state.seen | {place.name})

    def solved(self, state: Day) -> bool:
        """Return whether enough was seen."""
        return len(state.seen) == self.limit

    def told(self, state: Day) -> str:
        """Return the hour at which the visit ends and the money left: ``13, 4 left``."""
        return f"{state.hour}, {state.money} left"
