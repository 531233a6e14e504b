"""Files that cannot be read, are damaged or unpack to too much: one line that says why."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from row_files import ROWS, items, opened, write_csv, write_jsonl

from stepforge.generators.problem_sets import SourceItem
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"question": "a"', "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"question": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"question": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"question": "good"}', "question is that of x.jsonl, row 1"),
        (b'{"question": "\\ud800"}', "surrogate"),
        (b'{"question": "a", "question": "b"}', "key 'question' appears twice"),
        (b'{"question": "c", "meta": {"a": 1, "a": 2}}', "key 'a' appears twice"),
        (b"{" + b",".join(b'"%d":0' % i for i in range(10_001)) + b"}", "10,001 keys, the limit is 10,000"),
    ],
)
def test_a_bad_line_stops_the_check_or_is_rejected_with_its_reason(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"question": "good"}\n\n' + line + b'\n{"question": "better"}\n')
    with pytest.raises(BadInput, match=f"x.jsonl, row 3.*{message}"):
        opened(path).check()
    source = opened(path, on_bad_row="reject")
    kinds = [type(item) for item in source.rows(0, 3)]
    assert kinds == [SourceItem, Rejected, SourceItem]
    (rejected,) = source.rows(1, 2)
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith("x.jsonl, row 3")
    json.loads(rejected.row.encode())
    count = source.check()
    assert (count.rows, count.problems, count.rejected) == (3, 2, 1)


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b"", "no usable row"),
        ("x.csv", b"", "no column 'question'"),
        ("x.csv", b"question,question\na,b\n", "two columns"),
        ("x.csv", b"question,b\na\n", "row 2: has 1 fields, the header has 2"),
        ("x.csv", b'question\n"a\nb\n', "line 2: not CSV"),
        ("x.csv", b"question\n\xff\n", "not UTF-8"),
        ("x.jsonl", '{"question": "a"}'.encode("utf-16"), "UTF-16"),
        ("x.json", b'{"question": "a"}\n{"question": "b"}', "name it .jsonl"),
        ("x.json", b'[\n{"question": }]', "line 2: not JSON"),
        ("x.json", b'{"a": [{"q": 1}], "b": [{"q": 1}]}', "found: 'a', 'b'"),
        ("x.json", b"[" * 100_000, "nested too deep"),
        ("x.parquet", b"PAR1 not really", "not a Parquet file"),
        ("x.jsonl.gz", b"not gzip", "gzip"),
        ("x.jsonl.gz", gzip.compress(b'{"question": "a"}\n' * 9, mtime=0)[:-12], "gzip"),
        ("x.jsonl.gz", gzip.compress((b" " * 9999 + b"\n") * 9000, mtime=0), "unpacks to over 64 MiB"),
        ("x.jsonl.zst", b"not zstd", "zstd"),
        ("x.jsonl.zst", zstd(b'{"question": "a"}\n' * 9)[:-4], "zstd"),
        ("x.jsonl.zst", zstd((b" " * 9999 + b"\n") * 9000), "unpacks to over 64 MiB, the limit"),
        ("x.json.gz", b"not gzip", "cannot be read"),
        ("x.csv", b"," * 99_999 + b"\n", "100,000 columns, the limit is 10,000"),
        ("x.jsonl", b"a" * (16 * 2**20 + 1), "limit of 16 MiB per line"),
        ("x.json", b'[{"question": "a", "question": "b"}]', "key 'question' appears twice"),
        ("x.txt", b"a", "what is read is called"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_a_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        opened(tmp_path / name).check()
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_page_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.Table.from_pylist([{"question": f"{i} {os.urandom(40).hex()}"} for i in range(500)])
    pq.write_table(table, path, write_page_checksum=True, compression="none")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(BadInput, match=r"x\.parquet, after row"):
        opened(path).check()


def test_a_date_that_python_does_not_have_is_one_line(tmp_path: Path) -> None:
    table = pa.table({"question": ["q"], "at": pa.array([400_000_000_000_000_000], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(BadInput, match=r"x\.parquet, after row 0: date value out of range; recreate it"):
        opened(tmp_path / "x.parquet", keep=["at"]).check()


def test_a_damaged_name_of_a_column_is_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["q"], "nnnn": [1]}), tmp_path / "x.parquet", store_schema=False)
    damaged = (tmp_path / "x.parquet").read_bytes().replace(b"nnnn", b"nn\xffn")
    (tmp_path / "x.parquet").write_bytes(damaged)
    with pytest.raises(BadInput, match=r"x\.parquet: not a Parquet file: 'utf-8' codec"):
        opened(tmp_path / "x.parquet")


def parquet_bomb(path: Path, items: pa.Array) -> None:
    table = pa.table(
        {"question": ["q"], "steps": pa.ListArray.from_arrays(pa.array([0, len(items)], pa.int32()), items)}
    )
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            pa.repeat(7, 20_000_000),
            "20,000,000 values of column 'steps.list.element' in one row group, the limit here is 16,777,216",
        ),
        (pa.repeat("step", 1_000_000), "'steps' has a list of 1,000,000 items, the limit is 100,000"),
        (pa.repeat("a" * 9 * 2**20, 3), "'steps' has a text of 9 MiB, the limit is 8 MiB"),
    ],
)
def test_a_small_parquet_file_that_unpacks_to_a_large_one(tmp_path: Path, items: pa.Array, message: str) -> None:
    parquet_bomb(tmp_path / "x.parquet", items)
    with pytest.raises(BadInput, match=message):
        opened(tmp_path / "x.parquet", steps="steps").check()
    assert opened(tmp_path / "x.parquet").check().problems == 1


def test_folders_and_places_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no problem file.*\*\.jsonl, \*\.jsonl\.gz"):
        opened(tmp_path)
    write_jsonl(tmp_path / "x.jsonl", ROWS)
    write_csv(tmp_path / "x.csv", ROWS)
    with pytest.raises(BadInput, match=r"several formats \(\.csv, \.jsonl\)"):
        opened(tmp_path)
    with pytest.raises(BadInput, match=r"no such file.*next to it: x\.csv, x\.jsonl"):
        opened(tmp_path / "y.jsonl")


def test_a_file_changed_after_opening_is_noticed(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "x.jsonl", ROWS)
    source = opened(tmp_path / "x.jsonl")
    before = source.prints()
    write_jsonl(tmp_path / "x.jsonl", ROWS[1:])
    with pytest.raises(BadInput, match="changed since it was opened"):
        items(source)
    assert not opened(tmp_path / "x.jsonl").goes_on_from(before)
