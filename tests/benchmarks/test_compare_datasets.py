"""The comparison of two folders' data sets sees every kind of difference."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.compare_datasets import compare

ROWS = [{"text": "a", "value": 0.5}, {"text": "b", "value": 0.25}]


def folder(path: Path, rows: list[dict[str, Any]], files: int = 1) -> Path:
    place = path / "datasets" / "kto"
    place.mkdir(parents=True)
    for number in range(files):
        part = pa.Table.from_pylist(rows[number::files])
        pq.write_table(part, place / f"train-{number:05d}-of-{files:05d}.parquet", write_page_checksum=True)
    return path


def test_equal_rows_are_equal_however_many_files_hold_them(tmp_path: Path) -> None:
    before, after = folder(tmp_path / "before", ROWS), folder(tmp_path / "after", ROWS, files=2)
    train, test = compare(before, after)
    assert (train.before, train.after, train.difference) == (2, 2, "")
    assert (test.before, test.after, test.difference) == (0, 0, "")


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        (ROWS[:1], "row 1"),
        (ROWS[::-1], "row 0"),
        ([ROWS[0], {"text": "b", "value": 0.2500001}], "row 1"),
        ([{"value": 0.5, "text": "a"}, {"value": 0.25, "text": "b"}], "columns"),
    ],
)
def test_a_difference_is_named(rows: list[dict[str, Any]], where: str, tmp_path: Path) -> None:
    assert compare(folder(tmp_path / "before", ROWS), folder(tmp_path / "after", rows))[0].difference == where
