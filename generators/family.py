"""A problem family: a part that turns a random generator and a difficulty level into a problem with its truth."""

from abc import ABC, abstractmethod
from hashlib import blake2b
from random import Random
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from stepforge.generators.draft import Draft, Sentence
from stepforge.generators.wording.grammar import grammar
from stepforge.schemas.problem import AnswerKind, Problem, Quantity, Reading, Truth
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import rng_of

Wording = Literal["plain", "free", "long"]
LONG_STEPS = {7: 12, 8: 20, 9: 30, 10: 40}
"""Steps of a solution at the levels that only some families have."""


class ProblemFamily(Record, ABC):
    """Settings every family has. Item ``i`` of a seed exists without items 0 to ``i-1``."""

    kind: str
    max_level: ClassVar[int] = 6
    domain: ClassVar[str] = "arithmetic"

    levels: tuple[int, ...] = Field(default=(1, 2, 3, 4, 5), min_length=1)
    """Difficulty levels to draw from, 1 the easiest."""
    weight: float = Field(default=1.0, gt=0)
    """Share in a mix of families, relative to the others."""

    @field_validator("levels")
    @classmethod
    def _known_levels(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        wrong = [level for level in levels if not 1 <= level <= cls.max_level]
        if wrong:
            raise ValueError(f"level {wrong[0]} is outside 1 to {cls.max_level}")
        return levels

    def check(self) -> None:
        """Check external requirements, and raise ``BadInput`` if one is missing."""

    @abstractmethod
    def item(self, seed: int, index: int) -> Problem:
        """Return item ``index`` of the endless sequence that ``seed`` names."""

    def seeded(self, seed: int, index: int) -> tuple[Random, int]:
        rng = rng_of(seed, "problem", self.kind, index)
        return rng, rng.choice(self.levels)


class Family(ProblemFamily):
    """A family whose solutions state one quantity per line: it writes a draft, and the truth follows from its work."""

    wording: Wording = "plain"
    """``free`` draws every sentence from a grammar of many forms, ``long`` also asks for a paragraph per step; the
    problems of a seed stay the same."""

    @property
    def reading(self) -> Reading:
        return "lines" if self.wording == "plain" else "sentences"

    @abstractmethod
    def draft(self, rng: Random, level: int) -> Draft:
        """Write one problem of a level."""

    def draw(self, seed: int, index: int) -> tuple[Draft, int]:
        rng, level = self.seeded(seed, index)
        return self.draft(rng, level), level

    def item(self, seed: int, index: int) -> Problem:
        draft, level = self.draw(seed, index)
        quantities, answer = draft.solved()
        source, question = self.kind, draft.plain_question
        if self.wording != "plain":
            source = f"{self.kind}_{self.wording}"
            question = free_question(draft, rng_of(seed, "wording", self.kind, index), long=self.wording == "long")
        return Problem(
            id=f"{source}-{seed}-{index:07d}",
            source=source,
            domain=self.domain,
            question=question,
            answer=str(answer),
            answer_kind=draft.answer_kind,
            difficulty=level,
            group=group_of(self.kind, draft.shape),
            truth=Truth(quantities=(*quantities, *draft.extras), reading=self.reading),
        )


class Worked(NamedTuple):
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
    """A family whose solutions are written out line by line: their truth is not a list of quantities."""

    @abstractmethod
    def work(self, rng: Random, level: int) -> Worked:
        """Write one problem of a level with its solution."""

    def worked(self, seed: int, index: int) -> tuple[Worked, int]:
        rng, level = self.seeded(seed, index)
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


def free_question(draft: Draft, rng: Random, *, long: bool = False) -> str:
    if isinstance(draft.question, str):
        return draft.question
    sentences = (*draft.question, Sentence("q_long")) if long else draft.question
    return " ".join(grammar("questions").draw(rng, sentence.rule, sentence.slots) for sentence in sentences)


def group_of(kind: str, shape: str) -> str:
    """Return the group of a template: what train and test splits never share."""
    return f"{kind}-{blake2b(shape.encode(), digest_size=6).hexdigest()}"
