"""Which rollouts go through which prefix, wherever they started.

Given that a rollout reaches a prefix, what it writes next is a sample of what the policy writes there, so each counts
like a completion drawn from it. Nothing is worked out before it is asked for: most labelers never ask.
"""

from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

from stepforge.schemas.rollout import Rollout

Counts = tuple[int, int]
"""(successes, failures)"""


class SiblingCounts(NamedTuple):
    """The rollouts beside a solution's way, an entry for each prefix of 0 to T - 1 steps; its own is left out."""

    passing: tuple[Counts, ...]
    """Outcomes of those that go through the prefix."""
    agreement: tuple[tuple[int, int], ...]
    """Of those that go through it and succeed, how many (do, do not) write the same next step as the solution."""
    leaving: tuple[Counts, ...]
    """Outcomes of those whose last prefix in common with the solution is this one."""


class PrefixIndex:
    """The ids of the rollouts with a verdict, by the text of each prefix that they go through."""

    def __init__(self) -> None:
        self._unread: list[tuple[str, Rollout]] = []
        self._right: defaultdict[str, set[str]] = defaultdict(set)
        self._wrong: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, before: str, rollout: Rollout) -> None:
        """Take in a rollout that starts from a prefix of this text."""
        self._unread.append((before, rollout))

    def through(self, prefix: str) -> tuple[set[str], set[str]]:
        """Return the ids of the (right, wrong) rollouts that go through a prefix."""
        while self._unread:
            self._read(*self._unread.pop())
        return self._right.get(prefix, _NOBODY), self._wrong.get(prefix, _NOBODY)

    def along(self, rollout: str, texts: list[str]) -> SiblingCounts:
        """Return what happens beside a solution, given its id and the texts of its prefixes of 0 to T steps."""
        sets = [self.through(text) for text in texts]
        passing, agreement, leaving = [], [], []
        for (right, wrong), (right_on, wrong_on) in pairwise(sets):
            own_right, own_wrong = rollout in right, rollout in wrong
            successes, failures = len(right) - own_right, len(wrong) - own_wrong
            same = len(right & right_on) - own_right
            passing.append((successes, failures))
            agreement.append((same, successes - same))
            leaving.append((successes - same, failures - (len(wrong & wrong_on) - own_wrong)))
        return SiblingCounts(tuple(passing), tuple(agreement), tuple(leaving))

    def _read(self, before: str, rollout: Rollout) -> None:
        if rollout.outcome == "undetermined":
            return
        place = self._right if rollout.outcome == "correct" else self._wrong
        text = before
        place[text].add(rollout.id)
        for step in rollout.steps:
            text += step.text
            place[text].add(rollout.id)


_NOBODY: set[str] = set()
