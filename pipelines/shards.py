"""Durable shards: one Parquet file a shard, whole or not there at all.

Written beside its place, fsynced, renamed, folder fsynced. Page checksums are written and verified, because without
them most single-bit flips in a Parquet file are read back as wrong data without an error. The file's metadata says
which run, seed and code wrote it, how many rows it must hold, and the stage's own report.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.arrow import arrow_schema, from_table, to_table
from schemas.errors import RunFailed
from schemas.record import Record

R = TypeVar("R", bound=Record)

ROW_GROUP_ROWS = 1024
ROWS_AT_A_TIME = 64
"""Rows that a reader makes records of at a time; a labelled problem may hold hundreds of rollouts."""
METADATA_KEY = b"stepforge"


def shard_name(index: int) -> str:
    """Return the file name of a shard."""
    return f"part-{index:05d}.parquet"


def write_shard(path: Path, records: Iterable[Record], record: type[Record], metadata: dict[str, Any]) -> int:
    """Commit a shard and return its rows; on any failure no file of that name appears."""
    table = to_table(records, record)
    write_table(path, table, {**metadata, "rows": table.num_rows})
    return int(table.num_rows)


def write_table(path: Path, table: pa.Table, metadata: dict[str, Any]) -> None:
    """Commit a table with our metadata."""
    stamped = table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with _committed(path) as file:
        pq.write_table(
            stamped,
            file,
            compression="zstd",
            row_group_size=ROW_GROUP_ROWS,
            write_page_index=True,
            write_page_checksum=True,
            store_schema=True,
        )


def write_text(path: Path, text: str) -> None:
    """Commit a small text file."""
    with _committed(path) as file:
        file.write(text.encode())


@contextmanager
def _committed(path: Path) -> Iterator[BinaryIO]:
    """Give a file beside ``path`` to write to; on leaving without an error it is made durable and takes its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _fsync_folder(path.parent)


def read_shard(path: Path, record: type[R]) -> list[R]:
    """Return a shard's records, checksums verified.

    Raises:
        RunFailed: the shard is damaged, cut short, or of another kind; the line names it.
    """
    return list(read_rows(path, record))


def read_rows(path: Path, record: type[R], *, without: Collection[str] = ()) -> Iterator[R]:
    """Yield a shard's records, checksums verified; no more than a few are in memory at a time.

    The list columns named in ``without`` are read and verified like all others, but come back empty: making records
    of them is what takes the time.

    Raises:
        RunFailed: the shard is damaged, cut short, or of another kind; the line names it.
    """
    rows = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            expected = shard_metadata(path)["rows"]
            if not file.schema_arrow.remove_metadata().equals(arrow_schema(record)):
                raise ValueError("columns are not those of this version")
            for batch in file.iter_batches(ROWS_AT_A_TIME):
                rows += batch.num_rows
                yield from from_table(_emptied(pa.Table.from_batches([batch]), without), record)
        if rows != expected:
            raise ValueError(f"{rows} rows where {expected} were written")
    except (OSError, ValueError, KeyError, pa.ArrowException, ValidationError) as error:
        raise _damaged(path, error) from error


def _emptied(table: pa.Table, columns: Collection[str]) -> pa.Table:
    for name in columns:
        place = table.schema.get_field_index(name)
        empty = pa.array([()] * table.num_rows, table.schema.types[place])
        table = table.set_column(place, table.schema.field(place), empty)
    return table


def read_columns(path: Path, columns: list[str]) -> dict[str, list[Any]]:
    """Return some columns of a shard, checksums verified.

    Raises:
        RunFailed: the shard is damaged.
    """
    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True, partitioning=None)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    result: dict[str, list[Any]] = table.to_pydict()
    return result


def shard_metadata(path: Path) -> dict[str, Any]:
    """Return what was written into a shard's Parquet metadata.

    Raises:
        RunFailed: the shard is damaged, or not one of ours.
    """
    try:
        metadata: dict[str, Any] = json.loads((pq.read_schema(path).metadata or {})[METADATA_KEY])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return metadata


def _damaged(path: Path, error: Exception) -> RunFailed:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RunFailed(f"{path}: damaged shard ({first_line}); delete this file and run again")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
