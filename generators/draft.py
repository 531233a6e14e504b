"""How a family writes a problem down: a question, and a procedure that reports its steps.

The procedure calls ``say(name, expression, value)`` once per step and continues with what ``say`` returns. An
honest ``say`` records the truth; one that returns a wrong value shows how the same solver continues after a slip.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from stepforge.grading.exact import Exact
from stepforge.schemas.problem import AnswerKind, Quantity

V = TypeVar("V", bound=Exact)
MOST_PARTS = 3
"""Of a problem whose parts are summed up."""


class Say(Protocol):
    """States one step and returns the value that later steps build on."""

    def __call__(self, name: str, expression: str, value: V) -> V: ...


class Sentence(NamedTuple):
    """A rule of the grammar of free wording, and what fills its slots."""

    rule: str
    slots: dict[str, str] = {}  # noqa: RUF012 - never changed


class Free(NamedTuple):
    question: tuple[Sentence, ...]
    step: Callable[[str], Sentence]
    """The sentence of a step, by its name; slots ``expr``, ``value``, ``a``, ``b`` and ``c`` come from the step."""
    needs: Callable[[str], tuple[str, ...]] | None = None
    """The steps, by name, that must come before a step; by default all that the procedure says before it."""


class Draft(NamedTuple):
    """A problem before it has an id."""

    question: str
    work: Callable[[Say], Exact]
    """Says every needed step in order and returns the answer."""
    shape: str
    """What makes two problems instances of one template (structure and operations, not numbers)."""
    answer_kind: AnswerKind = "integer"
    extras: tuple[Quantity, ...] = ()
    """Quantities that are true and not needed."""
    free: Free | None = None
    """None for a family that has no free wording."""


def plus(a: int | str, b: int) -> str:
    """Return a sum as text; a negative number is subtracted."""
    return f"{a} {'-' if b < 0 else '+'} {abs(b)}"


def needs_of_parts(name: str, own: tuple[str, ...], ends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the steps that must come before a step, where numbered parts are worked out, summed up and then used.

    Part 2 has the steps ``own`` with a 2 after their names, each building on those before it; ``sum2`` adds part 2 to
    what there is, and the steps ``ends`` build on everything before them.
    """
    kind = name.rstrip("0123456789")
    number = name[len(kind) :]
    if kind in own:
        return tuple(f"{before}{number}" for before in own[: own.index(kind)])
    if kind in ends:
        done = tuple(f"{before}{part}" for part in range(1, MOST_PARTS + 1) for before in (*own, "sum"))
        return (*done, *ends[: ends.index(kind)])
    parts = range(1, int(number) + 1)
    return (*(f"{before}{part}" for part in parts for before in own), *(f"sum{part}" for part in parts[:-1]))


class Transcript:
    """An honest ``say``: records every step as a quantity."""

    def __init__(self) -> None:
        self.quantities: list[Quantity] = []

    def __call__(self, name: str, expression: str, value: V) -> V:
        self.quantities.append(Quantity(name=name, expression=expression, value=str(value)))
        return value
