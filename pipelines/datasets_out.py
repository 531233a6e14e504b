"""The export stage: curated rows to flat Parquet files in the layout of a Hub dataset repository.

Splits go by template or source group, never by row. A data set appears under its name only when it is whole, and is
made again only when the shards or the settings it was made from have changed.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.exports import PRM800K, AnyExport
from pipelines.exports.balance import Evened, evened
from pipelines.layout import Layout
from pipelines.run_file import RunFile
from pipelines.shards import read_shard, write_text
from pipelines.split_files import SplitFiles
from pipelines.version import VERSION
from schemas.labeled import LabeledProblem
from schemas.record import Record
from schemas.seeds import seed_of

STAMP = ".made-from"
"""A hidden file in each data set: which shards and settings it was made from."""
SPLITS = ("train", "test")


def split_of(group: str, test_share: float) -> str:
    """Return the split of a template or source group: a hash of its name, so that it never moves."""
    return "test" if seed_of("split", group) / 2**63 < test_share else "train"


def export_all(run: RunFile, layout: Layout) -> None:
    """Write every export of the run that is not up to date, and the data set card."""
    for export in run.export:
        inputs = _inputs(run, layout, export)
        if not _is_made(layout.datasets / export.name, inputs):
            _write_export(export, run, layout, inputs)


def export_summary(run: RunFile, layout: Layout) -> dict[str, Any]:
    """Return rows by export and split, counted from the files' own footers."""
    summary: dict[str, Any] = {}
    for export in run.export:
        folder = layout.datasets / export.name
        files = {split: sorted(folder.glob(f"{split}-*.parquet")) for split in SPLITS}
        rows = {split: sum(map(rows_in, paths)) for split, paths in files.items()}
        summary[export.name] = {"kind": export.kind, "rows": rows}
    return summary


def rows_in(path: Path) -> int:
    """Return the rows of a data file, as its footer tells."""
    return int(pq.read_metadata(path).num_rows)


def _write_export(export: AnyExport, run: RunFile, layout: Layout, inputs: str) -> None:
    final = layout.datasets / export.name
    beside = layout.datasets / f".{export.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    written = {split: _write_split(export, run, layout, split, beside) for split in SPLITS}
    for split, parts in written.items():
        for number, part in enumerate(parts):
            stem = f"{split}-{number:05d}-of-{len(parts):05d}"
            for path in beside.glob(f"{part.stem}.*"):
                path.rename(beside / f"{stem}{path.suffix}")
    sizes = {path.name: path.stat().st_size for path in sorted(beside.iterdir())}
    write_text(beside / STAMP, json.dumps({"inputs": inputs, "files": sizes}) + "\n")
    # Between these two lines the data set is missing; the next run finds that and makes it again.
    shutil.rmtree(final, ignore_errors=True)
    beside.rename(final)


def _write_split(export: AnyExport, run: RunFile, layout: Layout, split: str, folder: Path) -> list[Path]:
    """Write one split in files of bounded size; an empty split writes one empty file."""
    json_lines = isinstance(export, PRM800K) and export.json_lines
    files = SplitFiles(folder, split, export.row, {"version": VERSION}, json_lines=json_lines)
    for row in _rows_of(export, run, layout, split):
        files.add(row)
    return files.close()


def _rows_of(export: AnyExport, run: RunFile, layout: Layout, split: str) -> Iterable[Record]:
    """Return the rows of a split; shards are read one at a time."""

    def candidates() -> Iterator[Record]:
        for path in layout.shards("curate"):
            for problem in read_shard(path, LabeledProblem):
                if split_of(problem.problem.group, run.test_share) == split:
                    yield from export.rows(problem)

    return evened(candidates, export) if isinstance(export, Evened) else candidates()


def _inputs(run: RunFile, layout: Layout, export: AnyExport) -> str:
    """Return a digest of the shards and settings that an export is made from."""
    shards = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in layout.shards("curate")]
    text = json.dumps([shards, export.model_dump(mode="json"), run.test_share, VERSION])
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _is_made(folder: Path, inputs: str) -> bool:
    """Whether a data set was made from these inputs, and its files are all there in full length."""
    stamp = folder / STAMP
    if not stamp.exists():
        return False
    made = json.loads(stamp.read_text())
    found = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != STAMP}
    return bool(made["inputs"] == inputs and made["files"] == found)
