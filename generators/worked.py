"""Families whose solutions are written out line by line: their truth is not a list of quantities."""

from abc import abstractmethod
from random import Random
from typing import NamedTuple

from stepforge.generators.family import ProblemFamily, group_of
from stepforge.schemas.problem import AnswerKind, Problem, Quantity, Reading, Truth
from stepforge.schemas.seeds import rng_of


class Worked(NamedTuple):
    """A problem before it has an id, and a solution."""

    question: str
    lines: tuple[str, ...]
    answer: str
    answer_kind: AnswerKind
    reading: Reading
    shape: str
    drawn: object
    """What the family drew, for whoever plants mistakes in the solution."""
    quantities: tuple[Quantity, ...] = ()
    calls: int | None = None


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
