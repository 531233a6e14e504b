"""Arrow schemas derived from the record classes: one source of truth, never inferred from rows.

Inference types an empty list as ``list<null>``, and a conversion with a schema drops unknown keys in silence; here
the records refuse unknown fields and the schema follows from their annotations alone.
"""

from collections.abc import Iterable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import pyarrow as pa

from schemas.record import Record

R = TypeVar("R", bound=Record)

_SCALARS: dict[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


@cache
def arrow_schema(record: type[Record]) -> pa.Schema:
    """Return the schema of a table whose rows are these records.

    Raises:
        TypeError: a field's annotation has no columnar form (a dict, a union of two records).
    """
    return pa.schema(list(_struct(record)))


def to_table(records: Iterable[Record], record: type[Record]) -> pa.Table:
    """Return the records as a table, in order."""
    return pa.Table.from_pylist([r.model_dump() for r in records], schema=arrow_schema(record))


def from_table(table: pa.Table, record: type[R]) -> list[R]:
    """Return the rows of a table as records.

    Raises:
        pydantic.ValidationError: a row is not such a record.
    """
    return [record.model_validate(row) for row in table.to_pylist()]


def _struct(record: type[Record]) -> pa.StructType:
    fields = []
    for name, field in record.model_fields.items():
        kind, nullable = _arrow_type(field.annotation)
        fields.append(pa.field(name, kind, nullable=nullable))
    return pa.struct(fields)


def _arrow_type(annotation: Any) -> tuple[pa.DataType, bool]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        inner = [a for a in arguments if a is not NoneType]
        if len(inner) == 1:
            return _arrow_type(inner[0])[0], True
    if origin is Literal:
        return pa.string(), False
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        kind, nullable = _arrow_type(arguments[0])
        return pa.list_(pa.field("element", kind, nullable=nullable)), False
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return _struct(annotation), False
    if annotation in _SCALARS:
        return _SCALARS[annotation], False
    raise TypeError(f"no Arrow type for {annotation!r}")
