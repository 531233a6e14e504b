"""Durable shards: one Parquet file a shard, whole or not there at all.

Committed by the rule of its place (``pipelines.store``). Page checksums are written and verified, because without
them most single-bit flips in a Parquet file are read back as wrong data without an error. The file's metadata says
which run, seed and code wrote it, how many rows it must hold, and the stage's own report.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipelines.store import AnyPath, committed
from schemas.arrow import arrow_schema, from_table, to_table
from schemas.errors import RunFailed
from schemas.record import Record

R = TypeVar("R", bound=Record)

ROW_GROUP_ROWS = 1024
ROW_GROUP = "row_group"
"""In a file's metadata: rows in a group, where they are fewer because rows are long."""
METADATA_KEY = b"stepforge"


def write_shard(path: AnyPath, records: Iterable[Record], record: type[Record], metadata: dict[str, Any]) -> int:
    """Commit a shard and return its rows; on any failure no file of that name appears."""
    table = to_table(records, record)
    write_table(path, table, {**metadata, "rows": table.num_rows})
    return int(table.num_rows)


def write_table(path: AnyPath, table: pa.Table, metadata: dict[str, Any]) -> None:
    """Commit a table with our metadata."""
    stamped = table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with committed(path) as file:
        pq.write_table(
            stamped,
            file,
            compression="zstd",
            row_group_size=metadata.get(ROW_GROUP, ROW_GROUP_ROWS),
            write_page_index=True,
            write_page_checksum=True,
            store_schema=True,
        )


def read_shard(path: AnyPath, record: type[R]) -> list[R]:
    """Return a shard's records, checksums verified.

    Raises:
        RunFailed: the shard is damaged, cut short, or of another kind; the line names it.
    """
    try:
        table = pq.read_table(_source(path), page_checksum_verification=True, partitioning=None)
        expected = shard_metadata(path)["rows"]
        if not table.schema.remove_metadata().equals(arrow_schema(record)):
            raise ValueError("columns are not those of this version")
        if table.num_rows != expected:
            raise ValueError(f"{table.num_rows} rows where {expected} were written")
        return from_table(table, record)
    except (OSError, ValueError, KeyError, pa.ArrowException, ValidationError) as error:
        raise _damaged(path, error) from error


def read_columns(path: AnyPath, columns: list[str]) -> dict[str, list[Any]]:
    """Return some columns of a shard, checksums verified.

    Raises:
        RunFailed: the shard is damaged.
    """
    try:
        table = pq.read_table(_source(path), columns=columns, page_checksum_verification=True, partitioning=None)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    result: dict[str, list[Any]] = table.to_pydict()
    return result


def shard_metadata(path: AnyPath) -> dict[str, Any]:
    """Return what was written into a shard's Parquet metadata.

    Raises:
        RunFailed: the shard is damaged, or not one of ours.
    """
    try:
        metadata: dict[str, Any] = json.loads((pq.read_schema(_source(path)).metadata or {})[METADATA_KEY])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return metadata


def row_count(path: AnyPath) -> int:
    """Return the rows of a file, as its footer tells.

    Raises:
        RunFailed: it is damaged.
    """
    return int(file_metadata(path).num_rows)


def file_metadata(path: AnyPath) -> pq.FileMetaData:
    """Return a file's footer.

    Raises:
        RunFailed: it is damaged.
    """
    try:
        return pq.read_metadata(_source(path))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _source(path: AnyPath) -> Any:
    return path if isinstance(path, Path) else path.open()


def _damaged(path: AnyPath, error: Exception) -> RunFailed:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RunFailed(f"{path}: damaged shard ({first_line}); delete this file and run again")
