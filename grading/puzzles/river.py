"""A river, and a boat for one beside who rows: nothing may be eaten."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepforge.grading.puzzles.puzzle import Puzzle

_QUESTION = re.compile(
    r"Take (.+?) across a river\. The boat holds you and one of them\. Left alone, (.+?)\. Use at most (\d+) trips"
)
_EATS = re.compile(r"the (\w+) eats the (\w+)")
ALONE = "nothing"


class Banks(NamedTuple):
    """Who is across, and whether you are."""

    across: frozenset[str]
    rower: bool


class River(Puzzle):
    """A move names who comes along: ``goat``, or ``nothing``."""

    party: tuple[str, ...]
    eats: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, question: str) -> "River | None":
        if (found := _QUESTION.search(question)) is None:
            return None
        party = tuple(re.findall(r"(?:a|an) (\w+)", found[1]))
        return cls(party=party, eats=tuple(_EATS.findall(found[2])), limit=int(found[3]))

    @property
    def question(self) -> str:
        party = " and ".join(f"a {name}" for name in self.party)
        eats = " and ".join(f"the {eater} eats the {eaten}" for eater, eaten in self.eats)
        return (
            f"Take {party} across a river. The boat holds you and one of them. Left alone, {eats}. "
            f"Use at most {self.limit} trips."
        )

    @property
    def start(self) -> Banks:
        """Everybody is on this side."""
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
        """Return whether all are across."""
        return len(state.across) == len(self.party)

    def told(self, state: Banks) -> str:
        """Return who is across, in the question's order, and where you are: ``goat, here``."""
        names = " ".join(name for name in self.party if name in state.across) or "none"
        return f"{names}, {'there' if state.rower else 'here'}"
