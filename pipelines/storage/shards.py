"""Durable shards: one Parquet file per shard, complete or absent.

Committed by the rule of its storage (``pipelines.store``). Page checksums are written and verified, because without
them most single-bit flips in a Parquet file silently read back as wrong data. The file's metadata says which run, seed,
stage and code wrote it, how many rows it must hold, and the stage's own report; it has its own checksum, and a shard in
another's place is rejected.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.pipelines.storage.checksummed import with_checksum, without_checksum
from stepforge.pipelines.storage.footer import chunks
from stepforge.pipelines.storage.layout import ShardStage, shard_index, stage_of
from stepforge.pipelines.storage.regular_files import open_regular
from stepforge.pipelines.storage.store import AnyPath, committed
from stepforge.schemas.arrow import array_of, arrow_schema, from_table, to_table
from stepforge.schemas.errors import RunFailed, first_line
from stepforge.schemas.record import Record

R = TypeVar("R", bound=Record)

ROW_GROUP_ROWS = 1024
ROWS_AT_A_TIME = 16
"""Rows that a reader turns into records at a time; a labeled problem may hold hundreds of rollouts."""
METADATA_KEY = b"stepforge"
VALUES_FREE, VALUES_PER_BYTE = 500_000, 16
VALUES_PER_ROW, REPEATED_PER_BYTE = 2_000_000, 2_000
"""The most values in a file: a base, plus a number per byte (most shards have less than one per byte). Or a number per
row, above a confident policy's 64 equal solutions of 4,000 tokens, but at most what repeated values can reach in files
of this size."""
UNREADABLE = (OSError, ValueError, LookupError, ArithmeticError, TypeError, RecursionError, pa.ArrowException)


class ShardMetadata(TypedDict, total=False):
    """A file's own entry in its Parquet metadata; data sets have only ``version``, ``rows`` and ``row_group``."""

    stage: ShardStage
    shard: int
    run: str
    """Digest of the settings fixed for a run folder."""
    settings: str
    """Digest of the settings that the stage depends on."""
    seed: int
    version: str
    rows: int
    digest: str
    """Of the rows and of ``source``."""
    source: str
    """The digest of the shard that it was made from."""
    report: Mapping[str, object]
    """The stage's ``ShardReport``."""
    brought: int
    """Of a generate shard: how many solutions its problems came with."""
    rates: str
    """Of a labeled shard: digest of the pooled rates used."""
    settled: str
    """Of one of the first labeled shards, once its verdicts use the pooled rates: their digest."""
    rule: Mapping[str, object]
    """Of a relabeled shard."""
    row_group: int
    """Rows per group, if reduced because rows are long."""


def write_shard(path: AnyPath, records: Iterable[Record], record: type[Record], metadata: ShardMetadata) -> None:
    """Commit a shard; on any failure no file of that name appears."""
    table = to_table(records, record)
    write_table(path, table, {**metadata, "rows": table.num_rows, "digest": _digest(table, metadata.get("source", ""))})


def write_table(path: AnyPath, table: pa.Table, metadata: ShardMetadata) -> None:
    stamped = table.replace_schema_metadata(
        {METADATA_KEY: json.dumps(with_checksum(metadata), sort_keys=True).encode()}
    )
    with committed(path) as file:
        pq.write_table(
            stamped,
            file,
            compression="zstd",
            row_group_size=metadata.get("row_group", ROW_GROUP_ROWS),
            write_page_index=True,
            write_page_checksum=True,
            store_schema=True,
        )


def _digest(table: pa.Table, source: str) -> str:
    """Return a digest of the rows and their source, by which later shards recognize them."""
    digest = blake2b(source.encode(), digest_size=16)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    digest.update(sink.getvalue())
    return digest.hexdigest()


def read_shard(path: AnyPath, record: type[R], run: str | None = None) -> list[R]:
    """Return a shard's records, checksums verified; ``run`` is the digest of the settings that must have made it.
    Raises RunFailed: the shard is damaged, cut short, of another kind, or not the one of its name; the line names it.
    """
    return list(read_rows(path, record, run=run))


def read_rows(
    path: AnyPath,
    record: type[R],
    *,
    without: Collection[str] = (),
    only: Set[int] | None = None,
    run: str | None = None,
) -> Iterator[R]:
    """Yield a shard's records, checksums verified; no more than a few are in memory at a time.

    Most of the time goes into making records. List columns with a name in ``without``, nested ones too, are not read
    and come back empty; with ``only``, records are made only of the rows with these numbers, and row groups without any
    are not read.
    """
    rows = 0
    with _opened(path, record, run) as (file, metadata):
        columns = _leaves(file, without) if without else None
        for group in range(file.num_row_groups):
            end = rows + file.metadata.row_group(group).num_rows
            if only is not None and only.isdisjoint(range(rows, end)):
                rows = end
                continue
            for batch in file.iter_batches(ROWS_AT_A_TIME, row_groups=[group], columns=columns):
                table = pa.Table.from_batches([batch])
                if only is not None:
                    table = rows_where(table, [rows + i in only for i in range(table.num_rows)])
                rows += batch.num_rows
                yield from from_table(table, record, without)
        if rows != metadata["rows"]:
            raise ValueError(f"{rows} rows where {metadata['rows']} were written")


@contextmanager
def _opened(
    path: AnyPath, record: type[Record] | None = None, run: str | None = None
) -> Iterator[tuple[pq.ParquetFile, ShardMetadata]]:
    """Yield a file and its entry in the metadata; any error in reading it counts as damage. Raises RunFailed: the file
    is damaged, of other columns than the record's, or not the one of its name."""
    try:
        with pq.ParquetFile(_source(path), page_checksum_verification=True) as file:
            metadata = _metadata(file.schema_arrow, path, run)
            check_values(path, file.metadata)
            if record is not None:
                check_columns(file.schema_arrow, record)
            yield file, metadata
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def rows_where(table: pa.Table, flags: Sequence[bool]) -> pa.Table:
    """Return the rows whose flag is set; ``Table.filter`` would import pandas to convert a list of flags."""
    return table.filter(array_of(flags, pa.bool_()))


def _leaves(file: pq.ParquetFile, without: Collection[str]) -> list[str]:
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    return [path for path in paths if not set(path.split(".")) & set(without)]


def check_columns(found: pa.Schema, record: type[Record]) -> None:
    """Reject columns that differ from the record's; an earlier version may lack some that have a default."""
    expected = [f for f in arrow_schema(record) if f.name in found.names or record.model_fields[f.name].is_required()]
    if not found.remove_metadata().equals(pa.schema(expected)):
        raise ValueError("columns are not those of this version")


def read_columns(path: AnyPath, columns: list[str]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = read_leaves(path, columns).to_pydict()
    return result


def read_leaves(path: AnyPath, leaves: list[str], record: type[Record] | None = None) -> pa.Table:
    """Return some columns of a shard, or parts of nested ones by their Parquet path. Raises RunFailed: the shard is
    damaged, or of other columns than the record's."""
    with _opened(path, record) as (file, _):
        return file.read(leaves)


def read_row(path: AnyPath, record: type[R], row: int) -> R:
    """Return one record of a shard; only its row group is read. Raises IndexError: the shard has no such row."""
    for found in read_rows(path, record, only={row}):
        return found
    raise IndexError(row)


def shard_metadata(path: AnyPath, run: str | None = None) -> ShardMetadata:
    try:
        return _metadata(pq.read_schema(_source(path)), path, run)
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _metadata(schema: pa.Schema, path: AnyPath, run: str | None = None) -> ShardMetadata:
    metadata = cast("ShardMetadata", without_checksum(json.loads((schema.metadata or {})[METADATA_KEY])))
    stage = stage_of(path)
    if stage is not None and "stage" in metadata:
        found, expected = (metadata["stage"], metadata["shard"]), (stage, shard_index(path))
        if found != expected:
            raise ValueError(f"it is shard {found[1]} of {found[0]}, in the place of another")
    if stage is not None and "digest" not in metadata:
        raise ValueError("it was written by an earlier version")
    if stage is not None and not isinstance(metadata.get("rows"), int):
        raise ValueError("it does not say how many rows it has")
    if run is not None and metadata.get("run") != run:
        raise ValueError("it belongs to a run with other settings")
    return metadata


def row_count(path: AnyPath) -> int:
    return int(file_metadata(path).num_rows)


def file_metadata(path: AnyPath) -> pq.FileMetaData:
    try:
        return pq.read_metadata(_source(path))
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def check_values(path: AnyPath, footer: pq.FileMetaData) -> None:
    """Reject a small file that claims a huge number of values: 40 million repeated ones fit into a kilobyte."""
    if footer.num_row_groups > max(1, footer.num_rows):
        raise ValueError(f"it has {footer.num_row_groups:,} row groups for {footer.num_rows:,} rows")
    state = path.stat()
    values, size = _values(path, state.st_size, state.st_mtime_ns), state.st_size
    repeated = min(VALUES_PER_ROW * footer.num_rows, REPEATED_PER_BYTE * size)
    most = max(VALUES_FREE + VALUES_PER_BYTE * size, repeated)
    if values > most:
        raise ValueError(f"it holds {values:,} values, more than the limit of {most:,} for a file of {size:,} bytes")


@lru_cache(maxsize=1024)
def _values(path: AnyPath, size: int, modified: int) -> int:
    """Read once for each state of a file: a footer of 200 columns takes ten milliseconds."""
    with path.open("rb") if isinstance(path, Path) else path.open() as file:
        return sum(chunk.values for group in chunks(file) for chunk in group)


def _source(path: AnyPath) -> Any:
    if not isinstance(path, Path):
        return path.open()
    os.close(open_regular(path))  # links and pipes fail here
    return path


def _damaged(path: AnyPath, error: Exception) -> RunFailed:
    if isinstance(error, FileNotFoundError):
        return RunFailed(f"{path}: missing; the same `stepforge run` command makes it again")
    return RunFailed(f"{path}: damaged shard ({first_line(error)}); delete this file and run again")
