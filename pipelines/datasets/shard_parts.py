"""What one curated shard gives to every data set, in one file: made in one pass over the shard, on any worker.

The file is a zip of Arrow streams, ``<data set>/<split>/<number>.arrow``, with ``.classes`` beside where rows are to be
thinned. It is joined with the others in shard order and then deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zipfile import ZipFile

import pyarrow as pa

from stepforge.pipelines.datasets.columns import About, with_columns
from stepforge.pipelines.datasets.splits import SPLITS, split_of
from stepforge.pipelines.exports.balance import class_columns
from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.storage.store import AnyPath, committed
from stepforge.schemas.arrow import to_table
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record

BATCH_ROWS = 128
"""Rows that are held as records before they become columns, which take a tenth of the memory."""
ENTRY_BYTES = 8 << 20
"""Size of the columns at which an entry of the file is written."""
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


def write_part(
    path: AnyPath,
    problems: Iterable[LabeledProblem],
    exports: Sequence[Export],
    test_share: float,
    about: About,
) -> None:
    with committed(path) as file, ZipFile(file, "w") as archive:
        streams = {split: [_Stream(archive, export, split, about) for export in exports] for split in SPLITS}
        for problem in problems:
            for stream in streams[split_of(problem.problem.group, test_share)]:
                stream.add(problem)
        for split in SPLITS:
            for stream in streams[split]:
                stream.close()


class Part:
    """A file of ``write_part``, to be read."""

    def __init__(self, path: AnyPath) -> None:
        self._path = path

    def tables(self, export: Export, split: str) -> list[pa.Table]:
        return list(self._tables(export, split, "arrow"))

    def classes(self, export: Export, split: str) -> list[pa.Table]:
        """Classes of the same rows, which thinning needs, table by table."""
        return list(self._tables(export, split, "classes"))

    def _tables(self, export: Export, split: str, suffix: str) -> Iterator[pa.Table]:
        with self._path.open("rb") as file, ZipFile(file) as archive:
            for name in archive.namelist():
                if name.startswith(f"{export.name}/{split}/") and name.endswith(f".{suffix}"):
                    yield pa.ipc.open_stream(archive.read(name)).read_all()


class _Stream:
    """The rows of one split of one data set on their way into the file."""

    def __init__(self, archive: ZipFile, export: Export, split: str, about: About) -> None:
        self._archive = archive
        self._export = export
        self._split = split
        self._about = about
        self._problems: list[dict[str, Any]] = []
        """What each row tells of its problem."""
        self._rows: list[Record] = []
        self._tables: list[pa.Table] = []
        self._classes: list[pa.Table] = []
        self._bytes = 0
        self._entries = 0

    def add(self, problem: LabeledProblem) -> None:
        if self._export.takes(problem):
            self._rows.extend(self._export.rows(problem))
        if len(self._rows) > len(self._problems):
            self._problems += [self._about.columns(problem)] * (len(self._rows) - len(self._problems))
        if len(self._rows) >= BATCH_ROWS:
            self._to_columns()
            if self._bytes >= ENTRY_BYTES:
                self._write()

    def close(self) -> None:
        self._to_columns()
        self._write()

    def _to_columns(self) -> None:
        if not self._rows:
            return
        table = to_table(self._rows, self._export.row_class)
        self._tables.append(with_columns(table, self._export, self._problems))
        self._bytes += self._tables[-1].nbytes
        if self._export.most_of_a_class is not None:
            self._classes.append(class_columns(self._rows, self._export))
        self._rows, self._problems = [], []

    def _write(self) -> None:
        if not self._tables:
            return
        name = f"{self._export.name}/{self._split}/{self._entries:05d}"
        self._archive.writestr(f"{name}.arrow", _stream(self._tables))
        if self._classes:
            self._archive.writestr(f"{name}.classes", _stream(self._classes))
        self._entries += 1
        self._tables, self._classes, self._bytes = [], [], 0


def _stream(tables: Sequence[pa.Table]) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tables[0].schema, options=_COMPRESSED) as writer:
        for table in tables:
            writer.write_table(table)
    return memoryview(sink.getvalue())
