"""The files of one split: rows in, Parquet or JSON lines of bounded size out, with little in memory.

Row groups stay below 100 MB and files below 500 MB, which the Hub's viewer and its uploads ask for.
"""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.shards import METADATA_KEY
from schemas.arrow import arrow_schema, to_table
from schemas.record import Record

GROUP_ROWS = 4096
GROUP_BYTES = 64 << 20
"""Most bytes of a row group before compression, but for a single row that is larger."""
FILE_BYTES = 400 << 20
"""Size at which a file is ended; it may go beyond by a row group."""
BATCH_ROWS = 128
"""Rows that are held as records."""


class SplitFiles:
    """Takes rows one by one; ``close`` returns the files, at least one and in order."""

    def __init__(
        self, folder: Path, split: str, record: type[Record], metadata: dict[str, Any], *, jsonl: bool
    ) -> None:
        self._stem = folder / split
        self._record = record
        self._metadata = metadata
        self._open = _JsonLines if jsonl else _Parquet
        self._rows: list[Record] = []
        self._file: _JsonLines | _Parquet | None = None
        self._done: list[Path] = []

    def add(self, row: Record) -> None:
        """Take in a row."""
        self._rows.append(row)
        if len(self._rows) == BATCH_ROWS:
            self._flush()

    def close(self) -> list[Path]:
        """End the last file and return all of them."""
        self._flush()
        if self._file is not None or not self._done:
            self._end()
        return self._done

    def _flush(self) -> None:
        if self._rows:
            self._current().write(self._rows)
            self._rows = []
        if self._file is not None and self._file.size >= FILE_BYTES:
            self._end()

    def _current(self) -> "_JsonLines | _Parquet":
        if self._file is None:
            path = self._stem.with_name(f"{self._stem.name}.{len(self._done)}")
            self._file = self._open(path, self._record, self._metadata)
        return self._file

    def _end(self) -> None:
        file = self._current()
        file.close()
        self._done.append(file.path)
        self._file = None


class _JsonLines:
    """A row a line, UTF-8."""

    def __init__(self, path: Path, record: type[Record], metadata: dict[str, Any]) -> None:
        self.path = path
        self._stream = path.open("wb")

    @property
    def size(self) -> int:
        return self._stream.tell()

    def write(self, rows: list[Record]) -> None:
        for row in rows:
            self._stream.write(json.dumps(row.model_dump(mode="json"), ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        _make_durable(self._stream)


class _Parquet:
    """Row groups of bounded size; page checksums and page index as in every shard."""

    def __init__(self, path: Path, record: type[Record], metadata: dict[str, Any]) -> None:
        self.path = path
        self._record = record
        self._metadata = metadata
        self._stream = path.open("wb")
        self._writer = pq.ParquetWriter(
            self._stream, arrow_schema(record), compression="zstd", write_page_index=True, write_page_checksum=True
        )
        self._pending: list[pa.Table] = []
        self._count = 0

    @property
    def size(self) -> int:
        return self._stream.tell()

    def write(self, rows: list[Record]) -> None:
        self._pending.append(to_table(rows, self._record))
        self._count += len(rows)
        table_bytes = sum(table.nbytes for table in self._pending)
        if table_bytes >= GROUP_BYTES or sum(table.num_rows for table in self._pending) >= GROUP_ROWS:
            self._write_group(table_bytes)

    def close(self) -> None:
        if self._pending or not self._count:
            self._write_group(sum(table.nbytes for table in self._pending))
        self._writer.add_key_value_metadata(
            {METADATA_KEY: json.dumps({**self._metadata, "rows": self._count}, sort_keys=True).encode()}
        )
        self._writer.close()
        _make_durable(self._stream)

    def _write_group(self, table_bytes: int) -> None:
        table = pa.concat_tables(self._pending) if self._pending else to_table([], self._record)
        groups = 1 + table_bytes // GROUP_BYTES
        self._writer.write_table(table, row_group_size=max(1, table.num_rows // groups))
        self._pending = []


def _make_durable(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()
