"""A day out: places with opening hours and prices, a budget, and time to get from one to the next."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle


class Place(NamedTuple):
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

    text = (
        "It is {hour} o'clock and you have {budget} euros. {places}. "
        "Getting to a place takes {travel}. Visit {limit} places."
    )
    lists: ClassVar = {"places": ("The {} is open from {} to {}, takes {} and costs {}", ". ")}
    hour: int
    budget: int
    travel: int
    """Hours to get to a place."""
    places: tuple[Place, ...]

    @property
    def start(self) -> Day:
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
        return len(state.seen) == self.limit

    def told(self, state: Day) -> str:
        """Return the hour at which the visit ends and the money left: ``13, 4 left``."""
        return f"{state.hour}, {state.money} left"
