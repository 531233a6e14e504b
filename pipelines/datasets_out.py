"""The export stage: curated rows to flat Parquet files in the layout of a Hub dataset repository.

Splits go by template or source group, never by row. A data set appears under its name only when it is whole, and is
made again only when the shards or the settings it was made from have changed.
"""

import json
import shutil
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.exports import AnyExport
from pipelines.layout import Layout
from pipelines.run_file import RunFile
from pipelines.shards import read_shard, shard_metadata, write_table
from pipelines.version import VERSION
from schemas.arrow import to_table
from schemas.errors import RunFailed
from schemas.labeled import LabeledProblem
from schemas.record import Record
from schemas.seeds import seed_of

ROWS_PER_FILE = 100_000
"""Keeps files far below the Hub's 500 MB."""
SPLITS = ("train", "test")


def split_of(group: str, test_share: float) -> str:
    """Return the split of a template or source group: a hash of its name, so that it never moves."""
    return "test" if seed_of("split", group) / 2**63 < test_share else "train"


def export_all(run: RunFile, layout: Layout) -> None:
    """Write every export of the run that is not up to date, and the data set card."""
    for export in run.export:
        inputs = _inputs(run, layout, export)
        if _made_from(layout.datasets / export.name) != inputs:
            _write_export(export, run, layout, inputs)


def export_summary(run: RunFile, layout: Layout) -> dict[str, Any]:
    """Return rows by export and split, counted from the files' own footers."""
    summary: dict[str, Any] = {}
    for export in run.export:
        folder = layout.datasets / export.name
        rows = {split: sum(_rows(path) for path in sorted(folder.glob(f"{split}-*.parquet"))) for split in SPLITS}
        summary[export.name] = {"kind": export.kind, "rows": rows}
    return summary


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _write_export(export: AnyExport, run: RunFile, layout: Layout, inputs: str) -> None:
    final = layout.datasets / export.name
    beside = layout.datasets / f".{export.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    written = {split: _write_split(export, run, layout, split, beside, inputs) for split in SPLITS}
    for split, parts in written.items():
        for number, part in enumerate(parts):
            part.rename(beside / f"{split}-{number:05d}-of-{len(parts):05d}.parquet")
    # Between these two lines the data set is missing; the next run finds that and makes it again.
    shutil.rmtree(final, ignore_errors=True)
    beside.rename(final)


def _write_split(export: AnyExport, run: RunFile, layout: Layout, split: str, folder: Path, inputs: str) -> list[Path]:
    """Write one split in files of at most ``ROWS_PER_FILE`` rows; an empty split writes one empty file."""
    parts: list[Path] = []
    batch: list[Record] = []
    for row in _rows_of(export, run, layout, split):
        batch.append(row)
        if len(batch) == ROWS_PER_FILE:
            parts.append(_write_part(export, folder / f"{split}.{len(parts)}", batch, inputs))
            batch = []
    if batch or not parts:
        parts.append(_write_part(export, folder / f"{split}.{len(parts)}", batch, inputs))
    return parts


def _write_part(export: AnyExport, path: Path, rows: list[Record], inputs: str) -> Path:
    write_table(path, to_table(rows, export.row), {"inputs": inputs, "rows": len(rows), "version": VERSION})
    return path


def _rows_of(export: AnyExport, run: RunFile, layout: Layout, split: str) -> Iterator[Record]:
    for path in layout.shards("curate"):
        for problem in read_shard(path, LabeledProblem):
            if split_of(problem.problem.group, run.test_share) == split:
                yield from export.rows(problem)


def _inputs(run: RunFile, layout: Layout, export: AnyExport) -> str:
    """Return a digest of the shards and settings that an export is made from."""
    shards = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in layout.shards("curate")]
    text = json.dumps([shards, export.model_dump(mode="json"), run.test_share, VERSION])
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _made_from(folder: Path) -> str | None:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        return None
    try:
        stamp = shard_metadata(files[0]).get("inputs")
    except RunFailed:  # a damaged export is made again from its shards
        return None
    return stamp if isinstance(stamp, str) else None
