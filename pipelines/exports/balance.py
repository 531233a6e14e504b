"""Rows thinned until no class outweighs the others, from a few columns stored with the rows.

Each axis (position, difficulty, length) is balanced separately: a class with more than ``evenness`` times the median
class's rows is thinned to that by a hash of the row, so the same row stays or goes in every run. Thinning one axis
shifts the others, so the balance is only approximate.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Literal, TypeVar

import pyarrow as pa
from pydantic import Field

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.storage.shards import rows_where
from stepforge.schemas.arrow import array_of
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

R = TypeVar("R", bound=Record)

Axis = Literal["position", "difficulty", "domain", "outcome", "length"]
_DRAW, _AXIS = "evened draw", "evened axis "
"""Columns: a number in [0, 1) that follows from the row alone; the row's class on an axis."""


class Evened(Export):
    evenness: float = Field(default=3.0, ge=1)
    """Most rows of a class, in multiples of the median class's; a very large number turns thinning off."""
    even: tuple[Axis, ...] = ("position", "difficulty", "length")
    """Axes to balance, each separately: `position` of the step, `difficulty`, `domain`, `outcome` (of unpaired rows),
    and `length`, which for pairs is which of the two is longer."""

    @property
    def most_of_a_class(self) -> float:
        return self.evenness

    def classes(self, row: Record) -> tuple[str, ...]:
        return tuple(_class_of(row, axis) for axis in self.even)


def with_classes(table: pa.Table, rows: Sequence[Record], export: Export) -> pa.Table:
    """Return the table of these rows with what thinning needs to know: a draw, and the class on each axis."""
    axes = zip(*(export.classes(row) for row in rows), strict=True)
    columns = {_DRAW: array_of([_draw(row) for row in rows], pa.float64())}
    columns |= {f"{_AXIS}{i}": array_of(axis, pa.string()) for i, axis in enumerate(axes)}
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def evened(tables: Callable[[], Iterable[pa.Table]], evenness: float) -> Iterator[pa.Table]:
    """Yield tables of ``with_classes``, thinned and without its columns; ``tables`` is called twice."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for table in tables():
        for axis in _axes(table):
            counts[axis].update(table[axis].to_pylist())
    most = {axis: evenness * median(count.values()) for axis, count in counts.items()}
    shares = {a: {name: min(1.0, most[a] / rows) for name, rows in count.items()} for a, count in counts.items()}
    for table in tables():
        allowed = [[shares[axis][name] for name in table[axis].to_pylist()] for axis in _axes(table)]
        draws = table[_DRAW].to_pylist()
        stay = [all(draw < share for share in others) for draw, *others in zip(draws, *allowed, strict=True)]
        yield rows_where(table.drop_columns([_DRAW, *_axes(table)]), stay)


def _axes(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.startswith(_AXIS)]


def _draw(row: Record) -> float:
    return seed_of("evened", row.model_dump_json()) / 2**63


def position_class(step: int | None) -> str:
    """Return 0, 1, 2-3, 4-7, ... for the index of a step."""
    if step is None or step < 2:
        return str(step)
    first = 1 << (step.bit_length() - 1)
    return f"{first}-{2 * first - 1}"


def length_class(chosen: int, rejected: int) -> str:
    """Return how the lengths of a pair compare: a trainer must not learn that longer, or shorter, is better."""
    difference = chosen - rejected
    if abs(difference) <= 0.1 * max(chosen, rejected):
        return "alike"
    return "chosen longer" if difference > 0 else "chosen shorter"


def _class_of(row: Record, axis: Axis) -> str:
    match axis:
        case "position":
            return position_class(getattr(row, "step", None))
        case "outcome":
            return str(getattr(row, "label", None))
        case "length" if hasattr(row, "chosen_length"):
            return length_class(row.chosen_length, getattr(row, "rejected_length", 0))
        case "length":
            completion = row.model_dump(include={"completion"}).get("completion", "")
            return str(len(str(completion)).bit_length())
        case _:
            return str(getattr(row, axis))


def first_by_hash(rows: Sequence[R], most: int) -> list[R]:
    """Return at most this many rows, in order, chosen by a hash of the rows, so no kind is preferred."""
    kept = sorted(range(len(rows)), key=lambda i: _draw(rows[i]))[:most] if len(rows) > most else range(len(rows))
    return [rows[i] for i in sorted(kept)]
