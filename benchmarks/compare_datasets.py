"""Are the data sets of two run folders the same, row for row and in order?

    python benchmarks/compare_datasets.py runs/before runs/after

Prints a table of data sets and splits; exits with 1 where a row differs. A split without a file counts as empty.
Values are compared exactly, numbers included; columns in their order. Both folders may be from different versions.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = ("train", "test")
HEAD = ("data set", "split", "rows before", "rows after", "first difference")


class Compared(NamedTuple):
    """One split of one data set in both folders."""

    name: str
    split: str
    before: int
    after: int
    difference: str
    """Where the two first differ; empty if nowhere."""


def compare(before: Path, after: Path) -> list[Compared]:
    """Compare all data sets that either folder holds."""
    names = sorted({path.parent.name for folder in (before, after) for path in _files(folder, "*", "*")})
    return [_compared(before, after, name, split) for name in names for split in SPLITS]


def _compared(before: Path, after: Path, name: str, split: str) -> Compared:
    counts = [0, 0]
    difference = ""
    schemas = [_schema(folder, name, split) for folder in (before, after)]
    if None not in schemas and schemas[0] != schemas[1]:
        difference = "columns"
    for number, pair in enumerate(zip_longest(_rows(before, name, split), _rows(after, name, split))):
        for side, row in enumerate(pair):
            counts[side] += row is not None
        if not difference and pair[0] != pair[1]:
            difference = f"row {number}"
    return Compared(name, split, counts[0], counts[1], difference)


def _files(folder: Path, name: str, split: str) -> list[Path]:
    return sorted((folder / "datasets").glob(f"{name}/{split}-*.parquet"))


def _schema(folder: Path, name: str, split: str) -> pa.Schema | None:
    files = _files(folder, name, split)
    return pq.read_schema(files[0]).remove_metadata() if files else None


def _rows(folder: Path, name: str, split: str) -> Iterator[dict[str, Any]]:
    for path in _files(folder, name, split):
        for batch in pq.ParquetFile(path).iter_batches(1024):
            yield from batch.to_pylist()


def table(compared: list[Compared]) -> str:
    """Return the comparison as text."""
    rows = [HEAD, *((c.name, c.split, str(c.before), str(c.after), c.difference or "none") for c in compared)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def main() -> None:
    """Print the comparison; exit with 1 if anything differs or nothing was there to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    found = compare(arguments.before, arguments.after)
    print(table(found))
    different = [c for c in found if c.difference]
    print(f"{len(found)} splits, {sum(c.before for c in found)} rows before, {len(different)} splits differ")
    sys.exit(1 if different or not found else 0)


if __name__ == "__main__":
    main()
