"""One curated shard's contribution to every data set, in one file: made in one pass over the shard, on any worker.

The file is a zip of Arrow streams, ``<data set>/<split>/<number>``. It is joined with the others in shard order, then
deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from zipfile import ZipFile

import pyarrow as pa

from stepforge.pipelines.datasets.columns import About, with_columns
from stepforge.pipelines.datasets.splits import SPLITS, split_of
from stepforge.pipelines.exports.balance import with_classes
from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.storage.store import AnyPath, committed
from stepforge.schemas.arrow import to_table
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record

BATCH_ROWS = 128
"""Rows held as records before they become columns, which take a tenth of the memory."""
ENTRY_BYTES = 8 << 20
"""Size of the columns at which an entry of the file is written."""
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


def write_part(
    path: AnyPath, problems: Iterable[LabeledProblem], exports: Sequence[Export], test_share: float, about: About
) -> None:
    with committed(path) as file, ZipFile(file, "w") as archive:
        streams = {split: [_Stream(archive, export, split, about) for export in exports] for split in SPLITS}
        for problem in problems:
            for stream in streams[split_of(problem.problem.group, test_share)]:
                stream.add(problem)
        for split in SPLITS:
            for stream in streams[split]:
                stream.close()


def read_part(path: AnyPath, export: Export, split: str) -> Iterator[pa.Table]:
    """Yield the rows of one split of a data set; if they are to be thinned, with their classes."""
    with path.open("rb") as file, ZipFile(file) as archive:
        for name in archive.namelist():
            if name.startswith(f"{export.name}/{split}/"):
                yield pa.ipc.open_stream(archive.read(name)).read_all()


@dataclass(eq=False)
class _Stream:
    archive: ZipFile
    export: Export
    split: str
    about: About
    problems: list[dict[str, object]] = field(default_factory=list)
    """Each row's facts about its problem."""
    rows: list[Record] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    size: int = 0
    entries: int = 0

    def add(self, problem: LabeledProblem) -> None:
        if self.export.takes(problem):
            self.rows.extend(self.export.rows(problem))
        if len(self.rows) > len(self.problems):
            self.problems += [self.about.columns(problem)] * (len(self.rows) - len(self.problems))
        if len(self.rows) >= BATCH_ROWS:
            self._to_columns()
            if self.size >= ENTRY_BYTES:
                self._write()

    def close(self) -> None:
        self._to_columns()
        self._write()

    def _to_columns(self) -> None:
        if not self.rows:
            return
        table = with_columns(to_table(self.rows, self.export.row_class), self.export, self.problems)
        if self.export.most_of_a_class is not None:
            table = with_classes(table, self.rows, self.export)
        self.tables.append(table)
        self.size += table.nbytes
        self.rows, self.problems = [], []

    def _write(self) -> None:
        if not self.tables:
            return
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.tables[0].schema, options=_COMPRESSED) as writer:
            for table in self.tables:
                writer.write_table(table)
        name = f"{self.export.name}/{self.split}/{self.entries:05d}"
        self.archive.writestr(name, memoryview(sink.getvalue()))
        self.entries += 1
        self.tables, self.size = [], 0
