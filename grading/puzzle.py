"""Puzzles of states and moves: what is legal, what leads to the goal, and how far it is.

A solution makes one move per line, ``move: state after it``. States are small, so a search over all of them settles
what a move is worth.
"""

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import ValidationError

from stepforge.schemas.record import Record

State = Hashable
MoveClass = Literal["optimal", "detour", "dead_end", "illegal"]
"""``optimal``: on a shortest way to the goal; ``detour``: the goal can still be reached in time; ``dead_end``: it
cannot."""
MAX_STATES = 20_000
"""A larger puzzle is not searched."""
LONGEST = 5_000
"""A longer question states no puzzle, in characters."""


class TooLarge(ValueError):
    """The puzzle has more states than a search may visit."""


class Puzzle(Record, ABC):
    """One puzzle, read from its question."""

    text: ClassVar[str]
    """The question, with its settings' names in braces."""
    lists: ClassVar[dict[str, tuple[str, str]]] = {}
    """Of settings that are lists: how an item is written, and what stands between two."""
    limit: int
    """Most moves of a plan."""

    @classmethod
    def read(cls, question: str) -> Self | None:
        """Return the puzzle that a question states; None if it states none of this kind."""
        if len(question) > LONGEST:
            return None
        starts = re.finditer(re.escape(cls.text.partition("{")[0]), question)
        puzzles = (cls._stated(question[start.start() :]) for start in starts)
        return next((puzzle for puzzle in puzzles if puzzle is not None), None)

    @classmethod
    def _stated(cls, text: str) -> Self | None:
        told = zip(re.findall(r"\{(\w+)\}", cls.text), _slots(cls.text, text), strict=True)
        try:
            puzzle = cls.model_validate({name: cls._setting(name, value) for name, value in told})
        except ValidationError:
            return None
        return puzzle if text.startswith(puzzle.question) else None

    @classmethod
    def _setting(cls, name: str, told: str) -> object:
        if name not in cls.lists:
            return told
        item, between = cls.lists[name]
        items = [_slots(item, one) for one in told.split(between)]
        return [one if len(one) > 1 else one[0] for one in items]

    @property
    def question(self) -> str:
        told = {name: getattr(self, name) for name in type(self).model_fields}
        for name, (item, between) in self.lists.items():
            told[name] = between.join(item.format(*(one if isinstance(one, tuple) else (one,))) for one in told[name])
        return self.text.format(**told)

    @property
    @abstractmethod
    def start(self) -> State:
        """The state before the first move."""

    @abstractmethod
    def moves(self, state: Any) -> Iterator[tuple[str, State]]:
        """Yield each legal move, as a solution writes it, and the state after it."""

    @abstractmethod
    def solved(self, state: Any) -> bool:
        """Return whether the goal is reached."""

    def told(self, state: Any) -> str:
        """Return a state as a solution writes it."""
        return " ".join(map(str, state))

    def after(self, state: State, move: str) -> State | None:
        """Return the state after a move; None where the move is illegal."""
        wanted = " ".join(move.split())
        return next((after for name, after in self.moves(state) if name == wanted), None)

    @cached_property
    def _steps_to_goal(self) -> dict[State, int]:
        """Moves that every state which can reach the goal is away from it.

        Raises:
            TooLarge: there are too many states.
        """
        before: dict[State, list[State]] = {self.start: []}
        queue = deque([self.start])
        while queue:
            state = queue.popleft()
            for _, after in self.moves(state):
                if after not in before:
                    before[after] = []
                    queue.append(after)
                before[after].append(state)
            if len(before) > MAX_STATES:
                raise TooLarge(f"more than {MAX_STATES:,} states")
        steps = {state: 0 for state in before if self.solved(state)}
        queue = deque(steps)
        while queue:
            state = queue.popleft()
            for earlier in before[state]:
                if earlier not in steps:
                    steps[earlier] = steps[state] + 1
                    queue.append(earlier)
        return steps

    def distance(self, state: State) -> int | None:
        """Return how many moves the goal is away; None where it is out of reach."""
        return self._steps_to_goal.get(state)

    def classify(self, state: State, move: str, made: int) -> MoveClass:
        """Return the class of a move after ``made`` others."""
        if (after := self.after(state, move)) is None:
            return "illegal"
        left = self.distance(after)
        if left is None or made + 1 + left > self.limit:
            return "dead_end"
        return "optimal" if left + 1 == self.distance(state) else "detour"

    def plan(self, state: State) -> list[tuple[str, State]]:
        """Return a shortest plan from a state: moves, and the states after them; empty where there is none."""
        found: list[tuple[str, State]] = []
        while (left := self.distance(state)) is not None and left > 0:
            move, state = next((m, s) for m, s in self.moves(state) if self.distance(s) == left - 1)
            found.append((move, state))
        return found

    def reaches_goal(self, moves: list[str]) -> bool:
        """Return whether a plan is legal, short enough, and ends at the goal."""
        state: State | None = self.start
        for move in moves:
            if (state := self.after(state, move)) is None:
                return False
        return len(moves) <= self.limit and self.solved(state)


def _slots(template: str, text: str) -> list[str]:
    """Return the text in place of each brace of a template, each as short as possible, without backtracking:
    that takes minutes on a hostile text. If it is not of this template, the values are of no use."""
    first, *between = re.split(r"\{\w*\}", template)
    text, found = text[len(first) :], []
    for literal in between:
        value, _, text = text.partition(literal) if literal else (text, "", "")
        found.append(value)
    return found
