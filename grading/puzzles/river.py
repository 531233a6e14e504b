"""A river, and a boat for one beside who rows: nothing may be eaten."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle

ALONE = "nothing"


class Banks(NamedTuple):
    """Who is across, and whether you are."""

    across: frozenset[str]
    rower: bool


class River(Puzzle):
    """A move names who comes along: ``goat``, or ``nothing``."""

    text = (
        "Take {party} across a river. The boat holds you and one of them. Left alone, {eats}. "
        "Use at most {limit} trips."
    )
    lists: ClassVar = {"party": ("a {}", " and "), "eats": ("the {} eats the {}", " and ")}
    party: tuple[str, ...]
    eats: tuple[tuple[str, str], ...]

    @property
    def start(self) -> Banks:
        return Banks(frozenset(), False)

    def moves(self, state: Banks) -> Iterator[tuple[str, Banks]]:
        """Yield the trips after which nothing is eaten."""
        here = state.across if state.rower else frozenset(self.party) - state.across
        for name in (*(n for n in self.party if n in here), ALONE):
            across = state.across ^ {name} if name != ALONE else state.across
            after = Banks(across, not state.rower)
            left = frozenset(self.party) - across if after.rower else across
            if not any({eater, eaten} <= left for eater, eaten in self.eats):
                yield name, after

    def solved(self, state: Banks) -> bool:
        return len(state.across) == len(self.party)

    def told(self, state: Banks) -> str:
        """Return who is across, in the question's order, and where you are: ``goat, here``."""
        names = " ".join(name for name in self.party if name in state.across) or "none"
        return f"{names}, {'there' if state.rower else 'here'}"
