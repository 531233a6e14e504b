"""Files beside a data set's own: its rows as lines of JSON in another form, and a package around them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from stepforge.pipelines.datasets.split_files import BATCH_ROWS, write_lines
from stepforge.pipelines.exports.contract import Export


def write_beside(export: Export, folder: Path, split: str, files: Sequence[Path]) -> None:
    """Write what belongs to the rows of one split, which lie in ``files``; nothing where there are none."""
    if not files:
        return
    if split in export.line_files:
        write_lines(folder / export.line_files[split], _lines(export, files))
    for name, text in export.package.items():
        write_lines(folder / name, [text])


def _lines(export: Export, files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
            for row in batch.to_pylist():
                yield json.dumps(export.line(row), ensure_ascii=False) + "\n"
