"""The export stage: curated rows to flat Parquet files in the layout of a Hub dataset repository.

Splits go by template or source group, never by row. A data set is made in a folder of its own and appears under its
name only when it is whole; in a store, which cannot rename, it is whole when ``exports/<name>.json`` says so. That file
also says what the data set was made from, so that it is made again only when the shards or the settings have changed;
the data files themselves hold nothing that differs from one making to the next.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stepforge.pipelines.datasets.split_files import SplitFiles
from stepforge.pipelines.datasets.stamp import read_stamp, stamp_file, stamp_of, write_stamp
from stepforge.pipelines.exports import PRM800K, AnyExport
from stepforge.pipelines.exports.balance import Evened, evened
from stepforge.pipelines.exports.step_pairs import Forks
from stepforge.pipelines.settings.digest import VERSION
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows, row_count
from stepforge.pipelines.storage.store import AnyPath, StorePath, fsync_folder
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

SPLITS = ("train", "test")


def split_of(group: str, test_share: float) -> str:
    """Return the split of a template or source group: a hash of its name, so that it never moves."""
    return "test" if seed_of("split", group) / 2**63 < test_share else "train"


def export_all(run: RunFile, layout: Layout) -> None:
    """Write every export of the run that is not up to date."""
    for export in run.export:
        inputs = _inputs(run, layout, export)
        if not _is_made(layout, export.name, inputs):
            _write_export(export, run, layout, inputs)


def export_summary(run: RunFile, layout: Layout) -> dict[str, Any]:
    """Return rows by export and split, counted from the files' own footers."""
    summary: dict[str, Any] = {}
    for export in run.export:
        folder = layout.datasets / export.name
        rows = {split: sum(row_count(path) for path in folder.glob(f"{split}-*.parquet")) for split in SPLITS}
        summary[export.name] = {"kind": export.kind, "rows": rows}
    return summary


def _write_export(export: AnyExport, run: RunFile, layout: Layout, inputs: str) -> None:
    final, stamp = layout.datasets / export.name, stamp_file(layout, export.name)
    stamp.unlink(missing_ok=True)  # from here until the end the data set counts as not made
    with _workplace(final) as beside:
        written = {split: _write_split(export, run, layout, split, beside) for split in SPLITS}
        for split, parts in written.items():
            for number, part in enumerate(parts):
                for path in beside.glob(f"{part.stem}.*"):
                    path.rename(beside / f"{split}-{number:05d}-of-{len(parts):05d}{path.suffix}")
        files = {path.name: stamp_of(path) for path in sorted(beside.iterdir())}
        _put_in_place(beside, final)
    write_stamp(stamp, files, inputs)


@contextmanager
def _workplace(final: AnyPath) -> Iterator[Path]:
    """Give an empty local folder: beside the final one, or a temporary one where that lies in a store."""
    if isinstance(final, StorePath):
        with TemporaryDirectory(prefix="stepforge-export-") as folder:
            yield Path(folder)
        return
    beside = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put_in_place(folder: Path, final: AnyPath) -> None:
    if isinstance(final, Path):
        shutil.rmtree(final, ignore_errors=True)
        folder.rename(final)
        fsync_folder(final.parent)
        return
    for old in list(final.glob("*")):
        old.unlink(missing_ok=True)
    for path in sorted(folder.iterdir()):
        (final / path.name).write_bytes(path.read_bytes())


def _write_split(export: AnyExport, run: RunFile, layout: Layout, split: str, folder: Path) -> list[Path]:
    """Write one split in files of bounded size; an empty split writes one empty file."""
    json_lines = isinstance(export, PRM800K) and export.json_lines
    files = SplitFiles(folder, split, export.row, {"version": VERSION}, json_lines=json_lines)
    for row in _rows_of(export, run, layout, split):
        files.add(row)
    return files.close()


def _rows_of(export: AnyExport, run: RunFile, layout: Layout, split: str) -> Iterable[Record]:
    """Return the rows of a split; a few problems are in memory at a time."""
    without = () if isinstance(export, Forks) else COMPLETIONS

    def in_split(row: dict[str, Any]) -> bool:
        return split_of(row["problem"]["group"], run.test_share) == split

    def candidates() -> Iterator[Record]:
        for path in layout.shards("curate"):
            for problem in read_rows(path, LabeledProblem, without=without, keep=in_split):
                yield from export.rows(problem)

    return evened(candidates, export) if isinstance(export, Evened) else candidates()


def _inputs(run: RunFile, layout: Layout, export: AnyExport) -> str:
    """Return a digest of the shards and settings that an export is made from."""
    shards = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in layout.shards("curate")]
    text = json.dumps([shards, export.model_dump(mode="json"), run.test_share, VERSION])
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _is_made(layout: Layout, name: str, inputs: str) -> bool:
    """Whether a data set was made from these inputs, and its files are all there in full length."""
    made = read_stamp(stamp_file(layout, name))
    if made is None or made.inputs != inputs:
        return False
    sizes = {name: file.size for name, file in made.files.items()}
    there = (layout.datasets / name).glob("*")
    found = {path.name: path.stat().st_size for path in there if path.name.endswith(".parquet") or path.name in sizes}
    return sizes == found


def is_up_to_date(run: RunFile, layout: Layout, export: AnyExport) -> bool:
    """Whether a data set is whole and made from the shards and settings as they are now."""
    return _is_made(layout, export.name, _inputs(run, layout, export))
