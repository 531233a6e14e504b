"""Arrow schemas derived from the record classes: one source of truth, never inferred from rows.

Inference types an empty list as ``list<null>``, and conversion with a schema silently drops unknown keys; here the
records reject unknown fields and the schema follows only from their annotations.
"""

from array import array
from collections.abc import Collection, Iterable, Sequence, Sized
from functools import cache
from itertools import accumulate, chain
from operator import itemgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np
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
    rows = array_of(list(records), pa.struct(list(schema)))
    return pa.Table.from_arrays(rows.flatten(), schema=schema)


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return records, tuples or plain values as an array, a column at a time: no row becomes a dict.

    ``pa.array`` would import pandas in every process: docs/results/running-costs.md has what that costs.
    """
    missing = any(value is None for value in values)
    buffers = [_bits(value is not None for value in values) if missing else None]
    if pa.types.is_struct(kind):
        columns = zip(*_field_values(values, kind), strict=True) if values else ((),) * kind.num_fields
        children = [array_of(column, field.type) for column, field in zip(columns, kind, strict=True)]
        return pa.Array.from_buffers(kind, len(values), buffers, children=children)
    given = [_NOTHING.get(kind, ()) if value is None else value for value in values] if missing else values
    if pa.types.is_list(kind):
        buffers.append(_offsets(given))
        children = [array_of(list(chain.from_iterable(given)), kind.value_type)]
        return pa.Array.from_buffers(kind, len(values), buffers, children=children)
    if pa.types.is_string(kind):
        texts = [text.encode() for text in _as_texts(given)]
        buffers += [_offsets(texts), pa.py_buffer(b"".join(texts))]
    elif pa.types.is_boolean(kind):
        buffers.append(_bits(given))
    else:
        buffers.append(pa.py_buffer(array("q" if pa.types.is_integer(kind) else "d", given)))
    return pa.Array.from_buffers(kind, len(values), buffers)


def _offsets(values: Sequence[Sized]) -> pa.Buffer:
    return pa.py_buffer(array("i", accumulate(map(len, values), initial=0)))


def _bits(flags: Iterable[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.fromiter(flags, bool), bitorder="little"))


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


def from_table(table: pa.Table, record: type[R], without: Collection[str] = ()) -> list[R]:
    """Return the rows of a table as records; list columns ``without`` are not in it and come back empty."""
    empty = {name: () for name in without if name in record.model_fields}
    return [record.model_validate(row | empty) for row in table.to_pylist()]


def _struct(record: type[Record]) -> pa.StructType:
    kinds = ((name, *_arrow_type(field.annotation)) for name, field in record.model_fields.items())
    return pa.struct([pa.field(name, kind, nullable=nullable) for name, kind, nullable in kinds])


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
