"""How a family writes a problem down: a question, and a procedure that reports its steps.

The procedure calls ``say(name, expression, value)`` once per step and continues with what ``say`` returns. An
honest ``say`` records the truth; one that returns a wrong value shows how the same solver continues after a slip.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from stepforge.generators.wording.grammar import plain_text
from stepforge.grading.exact import Exact
from stepforge.schemas.problem import AnswerKind, Quantity

V = TypeVar("V", bound=Exact)
MOST_PARTS = 3
"""Of a problem whose parts are summed up."""
LARGEST = 900
"""Of the values of such a problem."""


class Say(Protocol):
    """States one step and returns the value that later steps build on."""

    def __call__(self, name: str, expression: str, value: V) -> V: ...


class Sentence(NamedTuple):
    """A rule of the grammars of wordings, and what fills its slots."""

    rule: str
    slots: dict[str, str] = {}  # noqa: RUF012 - never changed


class Draft(NamedTuple):
    """A problem before it has an id."""

    question: str | tuple[Sentence, ...]
    """A text, or the sentences that every wording draws in its own way."""
    work: Callable[[Say], Exact]
    """Says every needed step in order and returns the answer."""
    shape: str
    """What makes two problems instances of one template (structure and operations, not numbers)."""
    answer_kind: AnswerKind = "integer"
    extras: tuple[Quantity, ...] = ()
    """Quantities that are true and not needed."""

    @property
    def plain_question(self) -> str:
        return self.question if isinstance(self.question, str) else plain_text(self.question)

    def solved(self, say: "Transcript | None" = None) -> tuple[list[Quantity], Exact]:
        """Return the steps of a solution and its answer: of the honest one, unless ``say`` says otherwise."""
        said = say or Transcript()
        answer = self.work(said)
        return said.quantities, answer

    def fits(self, steps: int) -> bool:
        """Whether the honest solution has so many steps, and every value is small and above zero."""
        values = [int(quantity.value) for quantity in self.solved()[0]]
        return len(values) == steps and all(0 < value <= LARGEST for value in values)


def plus(a: int | str, b: int) -> str:
    """Return a sum as text; a negative number is subtracted."""
    return f"{a} {'-' if b < 0 else '+'} {abs(b)}"


def summed(parts: Sequence[int], say: Say) -> int:
    """Say the sum of parts, one step for each after the first, and return it."""
    total = parts[0]
    for place, part in enumerate(parts[1:], start=2):
        total = say(f"sum{place}", plus(total, part), total + part)
    return total


class Transcript:
    """An honest ``say``: records every step as a quantity."""

    def __init__(self) -> None:
        self.quantities: list[Quantity] = []

    def __call__(self, name: str, expression: str, value: V) -> V:
        self.quantities.append(Quantity(name=name, expression=expression, value=str(value)))
        return value
