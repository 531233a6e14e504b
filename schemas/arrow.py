"""Arrow schemas derived from the record classes: one source of truth, never inferred from rows.

Inference types an empty list as ``list<null>``, and conversion with a schema silently drops unknown keys; here the
records reject unknown fields and the schema follows only from their annotations.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from itertools import accumulate, chain
from operator import itemgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pyarrow as pa

from stepforge.schemas.record import Record
from stepforge.schemas.verifier import StoredAsJson

R = TypeVar("R", bound=Record)

_NOTHING: dict[pa.DataType, Any] = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}

_SCALARS: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@cache
def arrow_schema(record: type[Record]) -> pa.Schema:
    """Return the schema of a table whose rows are these records.

    Raises:
        TypeError: a field's annotation has no columnar form (a dict, a union of two records).
    """
    return pa.schema(list(_struct(record)))


def to_table(records: Iterable[Record], record: type[Record]) -> pa.Table:
    schema = arrow_schema(record)
    rows = _array(list(records), pa.struct(list(schema)))
    return pa.Table.from_arrays(rows.flatten(), schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return records, tuples of records or plain values as an array, a column at a time: no row becomes a dict."""
    if not _holds_records(kind):
        return pa.array(_as_texts(values) if pa.types.is_string(kind) else values, kind)
    missing = [value is None for value in values]
    mask = pa.array(missing) if any(missing) else None
    if pa.types.is_list(kind):
        tuples = [() if value is None else value for value in values] if mask else values
        offsets = pa.array(list(accumulate(map(len, tuples), initial=0)), pa.int32())
        return pa.ListArray.from_arrays(offsets, _array(list(chain(*tuples)), kind.value_type), type=kind, mask=mask)
    columns = zip(*_field_values(values, kind), strict=True) if values else ((),) * kind.num_fields
    arrays = [_array(column, field.type) for column, field in zip(columns, kind, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=mask)


def _as_texts(values: Sequence[Any]) -> Sequence[Any]:
    """Return texts as they are, and records of a field that is ``StoredAsJson`` as JSON."""
    if not any(isinstance(value, Record) for value in values):
        return values
    return [value.model_dump_json() if isinstance(value, Record) else value for value in values]


def _field_values(values: Sequence[Any], kind: pa.StructType) -> Iterable[tuple[Any, ...]]:
    """Yield the fields of each record in one pass; for a missing one, a valid placeholder."""
    fields = itemgetter(*(field.name for field in kind)) if kind.num_fields > 1 else lambda d: (d[kind[0].name],)
    nothing = tuple(None if field.nullable else _NOTHING.get(field.type, ()) for field in kind)
    return (nothing if value is None else fields(vars(value)) for value in values)


@cache
def _holds_records(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) or (pa.types.is_list(kind) and _holds_records(kind.value_type))


def from_table(table: pa.Table, record: type[R], without: Collection[str] = ()) -> list[R]:
    """Return the rows of a table as records; list columns ``without`` are not in it and come back empty."""
    empty = {name: () for name in without if name in record.model_fields}
    return [record.model_validate(row | empty) for row in table.to_pylist()]


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
    if origin is Annotated and any(isinstance(mark, StoredAsJson) for mark in arguments[1:]):
        return pa.string(), False
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
