"""The export stage: curated rows to flat Parquet files in the layout of a Hub dataset repository.

Each curated shard is read once, for all data sets and splits; the parts are joined in shard order. A data set is made
in a temporary folder and appears under its name only when complete; in a store, which cannot rename, it is complete
when ``exports/<name>.json`` says so. That file also says what the data set was made from, so it is remade only when the
shards or the settings have changed; the data files themselves are reproducible. A split without rows has no file,
because ``load_dataset`` refuses a folder with empty ones.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.pipelines.datasets.columns import About
from stepforge.pipelines.datasets.shard_parts import BATCH_ROWS, read_part, write_part
from stepforge.pipelines.datasets.splits import SPLITS, write_split
from stepforge.pipelines.datasets.stamp import read_stamp, stamp_file, stamp_of, write_stamp
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.exports.balance import evened
from stepforge.pipelines.settings.digest import VERSION
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import read_curated
from stepforge.pipelines.storage.layout import Layout, shard_index
from stepforge.pipelines.storage.shards import row_count
from stepforge.pipelines.storage.store import AnyPath, StorePath, fsync_folder, listed, write_text
from stepforge.schemas.labeled import COMPLETIONS
from stepforge.schemas.own_part import is_own, settings_of_part


def export_all(run: RunFile, layout: Layout) -> None:
    with export_job(run, layout) as job:
        for index in job.shards():
            job.make_part(index)
        for name in job.names:
            job.join(name)


@contextmanager
def export_job(run: RunFile, layout: Layout) -> "Iterator[ExportJob]":
    """Yield the work on what is out of date: all parts, then all joins. The parts are deleted at the end."""
    ours = [export for export in run.export if not is_own(export)]  # read-only commands import nothing
    stale = tuple(export.name for export in ours if not is_up_to_date(run, layout, export))
    job = ExportJob(run, layout.folder, stale, uuid4().hex)
    try:
        yield job
    finally:
        _forget(job.parts)


class ExportJob(NamedTuple):
    """The data sets to make; sent to workers as is."""

    run: RunFile
    folder: AnyPath
    names: tuple[str, ...]
    token: str
    """Unique, so late writes of a killed driver's workers do no harm."""

    @property
    def parts(self) -> AnyPath:
        return self.folder / "exports" / f".parts-{self.token}.tmp"

    def shards(self) -> list[int]:
        return [shard_index(path) for path in Layout(self.folder).shards("curate")] if self.names else []

    def make_part(self, index: int) -> None:
        exports = [export for export in self.run.export if export.name in self.names]
        without = () if any(export.needs_completions for export in exports) else COMPLETIONS
        problems = read_curated(Layout(self.folder), index, without=without)
        part = self.parts / f"{index:05d}.zip"
        write_part(part, problems, exports, self.run.test_share, About.of(self.run))

    def join(self, name: str) -> None:
        layout = Layout(self.folder)
        export = next(export for export in self.run.export if export.name == name)
        final, stamp = layout.datasets / name, stamp_file(layout, name)
        inputs = _inputs(self.run, layout, export)
        stamp.unlink(missing_ok=True)  # from here until the end the data set counts as missing
        with _workplace(final, self.token) as beside:
            for split in SPLITS:
                files = write_split(beside, split, self._tables(export, split), VERSION)
                for file in files:
                    _write_lines(export, file)
                for name_of_module, text in export.package.items() if files else ():
                    write_text(beside / name_of_module, text)
            files_made = {path.name: stamp_of(path) for path in sorted(beside.iterdir())}
            _put_in_place(beside, final)
        write_stamp(stamp, files_made, inputs)

    def _tables(self, export: AnyExport, split: str) -> Iterator[pa.Table]:
        def tables() -> Iterator[pa.Table]:
            return chain.from_iterable(read_part(path, export, split) for path in listed(self.parts, "*.zip"))

        most = export.most_of_a_class
        return tables() if most is None else evened(tables, most)


def _write_lines(export: AnyExport, file: Path) -> None:
    """Write the rows of a Parquet file also as JSON, one row per line, if the export asks for it."""
    name = export.lines_beside(file.name)
    if name is None:
        return
    with (file.parent / name).open("a", encoding="utf-8") as lines:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
            lines.writelines(json.dumps(export.line(row), ensure_ascii=False) + "\n" for row in batch.to_pylist())
        lines.flush()
        os.fsync(lines.fileno())


def _forget(folder: AnyPath) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in list(folder.glob("*")):
        path.unlink(missing_ok=True)


def rows_by_split(layout: Layout, name: str) -> dict[str, int]:
    folder = layout.datasets / name
    return {split: sum(row_count(path) for path in folder.glob(f"{split}-*.parquet")) for split in SPLITS}


@contextmanager
def _workplace(final: AnyPath, token: str) -> Iterator[Path]:
    """Yield an empty local folder: next to the final one, or a temporary one if that is in a store."""
    if isinstance(final, StorePath):
        with TemporaryDirectory(prefix="stepforge-export-") as folder:
            yield Path(folder)
        return
    beside = final.with_name(f".{final.name}.{token}.tmp")
    beside.mkdir(parents=True)
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put_in_place(folder: Path, final: AnyPath) -> None:
    """Replace a data set; one without rows has no folder."""
    _forget(final)
    if isinstance(final, Path):
        if any(folder.iterdir()):
            folder.rename(final)
        fsync_folder(final.parent)
        return
    for path in sorted(folder.iterdir()):
        (final / path.name).write_bytes(path.read_bytes())


def _inputs(run: RunFile, layout: Layout, export: AnyExport) -> str:
    shards = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in layout.shards("curate")]
    text = json.dumps([shards, settings_of_part(export), run.test_share, VERSION])
    return blake2b(text.encode(), digest_size=12).hexdigest()


def is_up_to_date(run: RunFile, layout: Layout, export: AnyExport) -> bool:
    """Whether a data set was made from the current shards and settings, and all its files exist."""
    made = read_stamp(stamp_file(layout, export.name))
    if made is None or made.inputs != _inputs(run, layout, export):
        return False
    sizes = {name: file.size for name, file in made.files.items()}
    there = (layout.datasets / export.name).glob("*")
    found = {path.name: path.stat().st_size for path in there if path.name.endswith(".parquet") or path.name in sizes}
    return sizes == found
