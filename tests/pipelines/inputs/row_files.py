"""The same rows in every format that is read."""

import csv
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_problems

FIXTURES = Path(__file__).parents[2] / "fixtures"


ROWS = [{"question": f"What is {i} + 1,\nin words?", "answer": str(i + 1)} for i in range(700)]


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_gzip(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def write_zstd(path: Path, rows: list[dict[str, str]]) -> None:
    with pa.output_stream(path, compression="zstd") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())


def write_json(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text(json.dumps({"version": 1, "rows": rows}), encoding="utf-8")


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: list[dict[str, str]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100, write_page_checksum=True)


WRITERS: dict[str, Callable[[Path, list[dict[str, str]]], None]] = {
    ".jsonl": write_jsonl,
    ".jsonl.gz": write_gzip,
    ".jsonl.zst": write_zstd,
    ".ndjson": write_jsonl,
    ".json": write_json,
    ".csv": write_csv,
    ".parquet": write_parquet,
}
every_format = pytest.mark.parametrize("suffix", WRITERS)


def opened(path: Path, **settings: object) -> ProblemSource:
    return open_problems(ProblemSet.model_validate({"path": str(path), **settings}))


def items(source: ProblemSource, start: int = 0, stop: int | None = None) -> list[SourceItem]:
    found = list(source.rows(start, len(source) if stop is None else stop))
    assert all(isinstance(item, SourceItem) for item in found)
    return [item for item in found if isinstance(item, SourceItem)]
