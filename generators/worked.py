"""Families whose solutions are written out line by line: their truth is not a list of quantities."""

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from stepforge.generators.family import ProblemFamily, group_of
from stepforge.generators.slips import Piece
from stepforge.schemas.problem import AnswerKind, Problem, Quantity, Reading, Truth
from stepforge.schemas.seeds import rng_of

_ANSWERED = re.compile(r"(?<=>>)( = [^\n]*\n)")
"""What a calculator answered: the policy does not learn to write it."""


class Worked(NamedTuple):
    """A problem before it has an id, and a solution."""

    question: str
    lines: tuple[str, ...]
    answer: str
    answer_kind: AnswerKind
    reading: Reading
    shape: str
    slipped: Callable[[Random], list[Piece]]
    """A solution with a mistake, for training: the mistake itself is not learned, what follows it is."""
    quantities: tuple[Quantity, ...] = ()
    calls: int | None = None

    @property
    def solution(self) -> list[Piece]:
        """The reference solution, for training."""
        return learned([*self.lines, f"Answer: {self.answer}"])


class WorkedFamily(ProblemFamily):
    """A family that writes whole solutions."""

    @abstractmethod
    def work(self, rng: Random, level: int) -> Worked:
        """Write one problem of a level with its solution."""

    def worked(self, seed: int, index: int) -> tuple[Worked, int]:
        rng = rng_of(seed, "problem", self.kind, index)
        level = rng.choice(self.levels)
        return self.work(rng, level), level

    def item(self, seed: int, index: int) -> Problem:
        worked, level = self.worked(seed, index)
        return Problem(
            id=f"{self.kind}-{seed}-{index:07d}",
            source=self.kind,
            domain=self.domain,
            question=worked.question,
            answer=worked.answer,
            answer_kind=worked.answer_kind,
            difficulty=level,
            group=group_of(self.kind, worked.shape),
            truth=Truth(quantities=worked.quantities, reading=worked.reading, calls=worked.calls),
            known_solution="\n".join([*worked.lines, f"Answer: {worked.answer}"]),
        )


def learned(lines: Sequence[str]) -> list[Piece]:
    """Return lines to be learned, but for what a calculator answered in them."""
    parts = _ANSWERED.split("\n".join(lines))
    return [Piece(part, learn=i % 2 == 0) for i, part in enumerate(parts) if part]
