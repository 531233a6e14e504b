"""Problem files: every format gives the same problems from any row on, and what cannot be used is named."""

import csv
import gzip
import json
import os
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.generators.problem_sets import BroughtSolution, ProblemSet, SourceItem
from stepforge.generators.segmenters import BlankLine
from stepforge.pipelines.inputs.column_rows import HubRows
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_problems
from stepforge.pipelines.inputs.tables import rows_of
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected

FIXTURES = Path(__file__).parents[2] / "fixtures"
SHARED = Path(os.environ.get("STEPFORGE_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
ROWS = [{"question": f"What is {i} + 1,\nin words?", "answer": str(i + 1)} for i in range(700)]


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
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
        writer = csv.DictWriter(file, ["question", "answer"])
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


@every_format
def test_a_shard_reads_its_own_rows(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"sums{suffix}", ROWS)
    source = opened(tmp_path / f"sums{suffix}", answer="answer")
    count = source.check()
    assert (len(source), count.rows, count.problems, count.without_answer) == (700, 700, 700, 0)
    everything = items(source)
    assert [item.problem.question for item in everything] == [row["question"] for row in ROWS]
    assert [item.problem.answer for item in everything] == [row["answer"] for row in ROWS]
    again: ProblemSource = pickle.loads(pickle.dumps(source))  # noqa: S301
    shards = [items(again, start, start + 90) for start in range(0, 700, 90)]
    assert [item for shard in reversed(shards) for item in reversed(shard)] == everything[::-1]
    assert items(source, 255, 257) == everything[255:257]
    assert items(source, 700, 800) == []


@every_format
def test_a_folder_is_its_files_in_order(tmp_path: Path, suffix: str) -> None:
    for name, rows in (("b", ROWS[300:]), ("a", ROWS[:300])):
        WRITERS[suffix](tmp_path / f"{name}{suffix}", rows)
    (tmp_path / "README.md").write_text("not read")
    source = opened(tmp_path, answer="answer", limit=650)
    assert [item.problem.answer for item in items(source, 290, 9999)] == [str(i + 1) for i in range(290, 650)]
    assert source.check().rows == 650


@every_format
def test_a_missing_column_is_named(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"x{suffix}", ROWS[:3])
    with pytest.raises(BadInput, match="no column 'anwser' for answer; there are: question, answer; did you mean"):
        opened(tmp_path / f"x{suffix}", answer="anwser").check()
    with pytest.raises(BadInput, match="no column 'problem' for question"):
        opened(tmp_path / f"x{suffix}", question="problem")


def test_ids_stay_when_rows_move(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "x.jsonl", ROWS[:50])
    before = {
        item.problem.question: (item.problem.id, item.problem.group) for item in items(opened(tmp_path / "x.jsonl"))
    }
    write_jsonl(tmp_path / "x.jsonl", ROWS[:50][::-1])
    after = {
        item.problem.question: (item.problem.id, item.problem.group) for item in items(opened(tmp_path / "x.jsonl"))
    }
    assert before == after
    assert len(set(before.values())) == 50


def test_byte_order_mark_crlf_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf\r\n{"question": "a\xe2\x80\xa8b"}\r\n\r\n{"question": "c"}')
    assert [item.problem.question for item in items(opened(tmp_path / "x.jsonl"))] == ["a\u2028b", "c"]
    (tmp_path / "x.csv").write_bytes(b'\xef\xbb\xbfquestion,answer\r\n"a\r\nb",1\r\n\r\nc,\r\n')
    found = items(opened(tmp_path / "x.csv", answer="answer"))
    assert [(i.problem.question, i.problem.answer) for i in found] == [("a\r\nb", "1"), ("c", None)]


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
        (b'{"question": "a", "question": "b"}', "key 'question' is there twice"),
        (b'{"question": "c", "meta": {"a": 1, "a": 2}}', "key 'a' is there twice"),
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
        ("x.jsonl", b"a" * (16 * 2**20 + 1), "limit of 16 MiB for a line"),
        ("x.json", b'[{"question": "a", "question": "b"}]', "key 'question' is there twice"),
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
            "20,000,000 values of column 'steps.list.element' in one row group, the limit is 16,777,216",
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


def test_columns_inside_others_of_a_parquet_file(tmp_path: Path) -> None:
    row = {"prompt": [{"role": "user", "content": "3 + 4?"}], "reward_model": {"ground_truth": "7", "style": "rule"}}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
    (item,) = items(opened(tmp_path / "x.parquet", question="prompt", answer="reward_model.ground_truth"))
    assert (item.problem.question, item.problem.answer) == ("3 + 4?", "7")
    with pytest.raises(BadInput, match=r'did you mean answer = "reward_model.ground_truth"'):
        opened(tmp_path / "x.parquet", question="prompt", answer="answer")


def test_decimals_of_a_parquet_file(tmp_path: Path) -> None:
    table = pa.table({"question": ["q"], "answer": pa.array([Decimal("3.50")], pa.decimal128(10, 2))})
    pq.write_table(table, tmp_path / "x.parquet")
    assert items(opened(tmp_path / "x.parquet", answer="answer"))[0].problem.answer == "3.50"


@every_format
def test_whole_rows_of_any_file(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"x{suffix}", ROWS[:3])
    assert [dict(row) for _, row in rows_of(tmp_path / f"x{suffix}")] == ROWS[:3]
    if "json" in suffix and suffix != ".json":
        (tmp_path / "y.jsonl").write_text('{"question": "a"}\n[1]\n')
        with pytest.raises(BadInput, match=r"y\.jsonl, row 2: is not a JSON object"):
            list(rows_of(tmp_path / "y.jsonl"))


def test_folders_and_places_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no problem file.*\*\.jsonl, \*\.jsonl\.gz"):
        opened(tmp_path)
    write_jsonl(tmp_path / "x.jsonl", ROWS)
    write_csv(tmp_path / "x.csv", ROWS)
    with pytest.raises(BadInput, match=r"several formats \(\.csv, \.jsonl\)"):
        opened(tmp_path)
    with pytest.raises(BadInput, match=r"no such file.*beside it: x\.csv, x\.jsonl"):
        opened(tmp_path / "y.jsonl")


def test_a_file_changed_after_opening_is_noticed(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "x.jsonl", ROWS)
    source = opened(tmp_path / "x.jsonl")
    before = source.prints()
    write_jsonl(tmp_path / "x.jsonl", ROWS[1:])
    with pytest.raises(BadInput, match="changed since it was opened"):
        items(source)
    assert not opened(tmp_path / "x.jsonl").goes_on_from(before)


def test_rows_may_be_added_behind_those_there_were(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "b.jsonl", ROWS)
    before = opened(tmp_path).prints()
    assert opened(tmp_path).goes_on_from(before)
    write_jsonl(tmp_path / "b.jsonl", [*ROWS, {"question": "one more?"}])
    assert opened(tmp_path).goes_on_from(before)
    write_jsonl(tmp_path / "c.jsonl", ROWS)
    assert opened(tmp_path).goes_on_from(before)
    two = opened(tmp_path).prints()
    write_jsonl(tmp_path / "b.jsonl", [*ROWS, {"question": "one more?"}, {"question": "and another, before c?"}])
    assert not opened(tmp_path).goes_on_from(two)
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    assert not opened(tmp_path).goes_on_from(before)


def test_a_hub_dataset_reads_like_a_file() -> None:
    datasets = pytest.importorskip("datasets")
    part = ProblemSet(hub="org/sums", split="train", answer="answer", limit=20)
    source = ProblemSource(part, [("org/sums", HubRows(datasets.Dataset.from_list(ROWS)))], [])
    assert source.check().problems == 20
    assert items(source, 5, 6)[0].problem.source == "org/sums/train"
    assert items(source, 5, 6)[0].problem.answer == "6"


def test_brought_steps_join_to_a_text_that_cuts_into_them() -> None:
    part = ProblemSet(path="p.jsonl", question="problem", answer="answer", id="id", steps="steps")
    for item in items(opened(FIXTURES / "processbench_gsm8k_few.jsonl", **part.model_dump(exclude={"path", "kind"}))):
        cut = item.solutions[0].cut(BlankLine())
        assert BlankLine()("".join(cut)) == cut
        assert [step.strip() for step in cut] == [step.strip() for step in item.solutions[0].steps]
    assert BroughtSolution(text="a\n\nb").cut(BlankLine()) == ("a\n\n", "b")


MATH = {"question": "problem", "id": "unique_id", "difficulty": "level", "domain": "subject", "solution": "solution"}


def test_fixtures_of_public_sets() -> None:
    gsm8k = items(opened(FIXTURES / "gsm8k_few.jsonl", answer="answer"))
    assert all(item.problem.answer and item.problem.answer.replace(",", "").isdigit() for item in gsm8k)
    maths = items(opened(FIXTURES / "math500_few.jsonl", answer="answer", **MATH))
    assert all(item.problem.difficulty in range(1, 6) and item.solutions for item in maths)


@pytest.mark.parametrize(
    ("name", "settings", "rows"),
    [
        ("gsm8k_test_600", {"answer": "answer"}, 600),
        ("math_train_1000", {"question": "problem", "answer": "answer"}, 1000),
        ("math500", {"answer": "answer", **MATH}, 500),
        ("math500", {"question": "problem", "answer": "solution"}, 500),
        ("processbench_gsm8k_200", {"question": "problem", "answer": "answer", "id": "id", "steps": "steps"}, 200),
        ("processbench_math_300", {"question": "problem", "id": "id", "steps": "steps"}, 300),
    ],
)
def test_real_sets_are_read_whole(name: str, settings: dict[str, str], rows: int) -> None:
    path = SHARED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path.name} is not there: set STEPFORGE_SHARED_DATA to its folder")
    count = opened(path, **settings).check()
    assert (count.problems, count.rejected) == (rows, 0)
    assert count.without_answer == (0 if "answer" in settings else rows)
