"""The files of one split: rows in, files of bounded size out, with no more than one file's rows in memory.

Row groups stay below 100 MB and files below 500 MB, which the Hub's viewer and its uploads ask for.
"""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from stepforge.pipelines.storage.shards import ROW_GROUP, ROW_GROUP_ROWS, write_table
from stepforge.schemas.arrow import to_table
from stepforge.schemas.record import Record

FILE_BYTES = 256 << 20
"""Size before compression at which a file is ended."""
GROUP_BYTES = 48 << 20
"""What a row group holds at most before compression, going by the file's average row."""
BATCH_ROWS = 128
"""Rows that are held as records before they become columns."""


class SplitFiles:
    """Takes rows one by one; ``close`` returns the Parquet files, at least one and in order.

    With ``json_lines`` the same rows lie beside each of them as JSON, a row a line, under the same name and ``.jsonl``.
    """

    def __init__(
        self, folder: Path, split: str, record: type[Record], metadata: dict[str, Any], *, json_lines: bool = False
    ) -> None:
        self._folder = folder
        self._split = split
        self._record = record
        self._metadata = metadata
        self._json_lines = json_lines
        self._rows: list[Record] = []
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._done: list[Path] = []

    def add(self, row: Record) -> None:
        """Take in a row."""
        self._rows.append(row)
        if len(self._rows) == BATCH_ROWS:
            self._to_columns()
            if self._bytes >= FILE_BYTES:
                self._write()

    def close(self) -> list[Path]:
        """Write what is left and return all files."""
        self._to_columns()
        if self._tables or not self._done:
            self._write()
        return self._done

    def _to_columns(self) -> None:
        if self._rows:
            self._tables.append(to_table(self._rows, self._record))
            self._bytes += self._tables[-1].nbytes
            self._rows = []

    def _write(self) -> None:
        table = pa.concat_tables(self._tables) if self._tables else to_table([], self._record)
        path = self._folder / f"{self._split}.{len(self._done)}.parquet"
        group = max(1, min(ROW_GROUP_ROWS, table.num_rows * GROUP_BYTES // max(1, self._bytes)))
        write_table(path, table, {**self._metadata, "rows": table.num_rows, ROW_GROUP: group})
        if self._json_lines:
            _write_lines(path.with_suffix(".jsonl"), table)
        self._done.append(path)
        self._tables, self._bytes = [], 0


def _write_lines(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file:
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            for row in batch.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
