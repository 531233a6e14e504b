"""The files of one split: columns in, files of bounded size out, with no more than one file's rows in memory.

Row groups stay below 100 MB and files below 500 MB, which the Hub's viewer and its uploads ask for. How the rows were
split into tables does not affect the files.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from stepforge.pipelines.storage.shards import ROW_GROUP_ROWS, write_table

FILE_BYTES = 256 << 20
"""Size before compression at which a file is ended."""
GROUP_BYTES = 48 << 20
"""Largest row group before compression, estimated from the file's average row."""
BATCH_ROWS = 128
"""Rows after which the size is checked."""


class SplitFiles:
    """Takes tables one by one; ``close`` returns the Parquet files in order, none where there was no row.

    With ``json_lines`` the same rows are also written as JSON, one row per line, under the same name and ``.jsonl``.
    """

    def __init__(self, folder: Path, split: str, version: str, *, json_lines: bool = False) -> None:
        self._folder = folder
        self._split = split
        self._version = version
        self._json_lines = json_lines
        self._short: list[pa.Table] = []
        """Fewer rows than a batch."""
        self._batches: list[pa.Table] = []
        self._bytes = 0
        self._done: list[Path] = []

    def add(self, table: pa.Table) -> None:
        self._short.append(table)
        if sum(part.num_rows for part in self._short) < BATCH_ROWS:
            return
        rows = pa.concat_tables(self._short).combine_chunks()
        whole = rows.num_rows - rows.num_rows % BATCH_ROWS
        for start in range(0, whole, BATCH_ROWS):
            self._take(rows.slice(start, BATCH_ROWS))
        self._short = [rows.slice(whole)] if whole < rows.num_rows else []

    def close(self) -> list[Path]:
        if self._short:
            self._take(pa.concat_tables(self._short).combine_chunks())
            self._short = []
        self._write()
        return self._done

    def _take(self, batch: pa.Table) -> None:
        if batch.num_rows:
            self._batches.append(batch)
            self._bytes += batch.nbytes
        if self._bytes >= FILE_BYTES:
            self._write()

    def _write(self) -> None:
        if not self._batches:
            return
        table = pa.concat_tables(self._batches)
        path = self._folder / f"{self._split}.{len(self._done)}.parquet"
        group = max(1, min(ROW_GROUP_ROWS, table.num_rows * GROUP_BYTES // max(1, self._bytes)))
        write_table(path, table, {"version": self._version, "rows": table.num_rows, "row_group": group})
        if self._json_lines:
            rows = (row for batch in table.to_batches(max_chunksize=BATCH_ROWS) for row in batch.to_pylist())
            write_lines(path.with_suffix(".jsonl"), (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        self._done.append(path)
        self._batches, self._bytes = [], 0


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file, and wait until it is on disk."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
