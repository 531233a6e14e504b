"""Which rollouts pass through which prefix, wherever they started.

Given that a rollout reaches a prefix, what it writes next is a sample of what the policy writes there, so each counts
like a completion drawn from it. Prefixes are kept as digests: their texts would grow with the square of a solution's
length. Built on first use: most labelers never need it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from stepforge.schemas.rollout import Rollout, Step


class SiblingCounts(NamedTuple):
    """A solution's sibling rollouts, one entry per prefix of 0 to T - 1 steps; its own is left out."""

    going_on: tuple[int, ...]
    """Those that pass through the prefix and write the solution's next step."""
    right: tuple[int, ...]
    """Right ones whose last common prefix with the solution is this one."""
    wrong: tuple[int, ...]

    @classmethod
    def none(cls, steps: int) -> "SiblingCounts":
        """Return those of a solution of so many steps that has no siblings."""
        return cls(*((0,) * steps,) * 3)


class PrefixIndex:
    """The ids of rollouts with a verdict, by each prefix that they pass through."""

    def __init__(self) -> None:
        self._unread: list[tuple[Sequence[Step], Rollout]] = []
        self._right: defaultdict[bytes, set[str]] = defaultdict(set)
        self._wrong: defaultdict[bytes, set[str]] = defaultdict(set)

    def add(self, before: Sequence[Step], rollout: Rollout) -> None:
        """Add a rollout that starts from a prefix of these steps."""
        if rollout.outcome != "undetermined":
            self._unread.append((before, rollout))

    def beside(self, rollout: str, steps: Sequence[Step]) -> SiblingCounts:
        """Return the sibling counts of a solution, given its id and its steps."""
        while self._unread:
            self._read(*self._unread.pop())
        own = {rollout}
        sets = [(self._right.get(key, own) - own, self._wrong.get(key, own) - own) for key in prefix_keys(steps)]
        going_on, right, wrong = [], [], []
        for (here_right, here_wrong), (next_right, next_wrong) in pairwise(sets):
            going_on.append(len(here_right & next_right) + len(here_wrong & next_wrong))
            right.append(len(here_right - next_right))
            wrong.append(len(here_wrong - next_wrong))
        return SiblingCounts(tuple(going_on), tuple(right), tuple(wrong))

    def _read(self, before: Sequence[Step], rollout: Rollout) -> None:
        place = self._right if rollout.outcome == "correct" else self._wrong
        for count, key in enumerate(prefix_keys((*before, *rollout.steps))):
            if count >= len(before):
                place[key].add(rollout.id)


def prefix_keys(steps: Iterable[Step]) -> Iterator[bytes]:
    """Yield a digest of each prefix's text, starting with the empty prefix."""
    text = blake2b(digest_size=16)
    yield text.digest()
    for step in steps:
        text.update(step.text.encode("utf-8", "surrogatepass"))
        yield text.digest()
