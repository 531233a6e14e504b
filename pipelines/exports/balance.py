"""Rows thinned until no class outweighs the others: two passes over a stream, with nothing but counts in memory.

Each axis (position, difficulty, length) is evened by itself: a class that holds more than ``evenness`` times what the
median class holds is thinned to that by a hash of the row, so that the same row stays or goes in every run. Thinning
one axis moves the others, so what comes out is even roughly and not exactly.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import TypeVar

from pydantic import Field

from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

R = TypeVar("R", bound=Record)


class Evened(Record, ABC):
    """An export whose rows are evened out."""

    evenness: float = Field(default=3.0, ge=1)
    """Most rows of a class, in multiples of the median class's; a very large number turns the thinning off."""

    @abstractmethod
    def axes(self, row: Record) -> tuple[str, ...]:
        """Return the class of a row on each axis."""


def evened(candidates: Callable[[], Iterable[Record]], part: Evened) -> Iterator[Record]:
    """Yield the rows that stay; ``candidates`` is called twice and must give the same rows."""
    counts: list[Counter[str]] = []
    for row in candidates():
        classes = part.axes(row)
        counts = counts or [Counter() for _ in classes]
        for count, name in zip(counts, classes, strict=True):
            count[name] += 1
    shares = [_shares(count, part.evenness) for count in counts]
    for row in candidates():
        if _draw(row) < min(share[name] for share, name in zip(shares, part.axes(row), strict=True)):
            yield row


def _shares(count: Counter[str], evenness: float) -> dict[str, float]:
    most = evenness * median(count.values())
    return {name: min(1.0, most / rows) for name, rows in count.items()}


def _draw(row: Record) -> float:
    return seed_of("evened", row.model_dump_json()) / 2**63


def position_class(step: int | None) -> str:
    """Return 0, 1, 2-3, 4-7, ... for the index of a step."""
    if step is None or step < 2:
        return str(step)
    first = 1 << (step.bit_length() - 1)
    return f"{first}-{2 * first - 1}"


def length_class(chosen: str, rejected: str) -> str:
    """Return how the lengths of a pair compare: a trainer must not learn that longer, or shorter, is better."""
    difference = len(chosen) - len(rejected)
    if abs(difference) <= 0.1 * max(len(chosen), len(rejected)):
        return "alike"
    return "chosen longer" if difference > 0 else "chosen shorter"


def first_by_hash(rows: Sequence[R], most: int) -> list[R]:
    """Return at most so many rows, in their order, chosen by a hash of the rows: no kind is preferred."""
    kept = sorted(range(len(rows)), key=lambda i: _draw(rows[i]))[:most]
    return [rows[i] for i in sorted(kept)]
