"""Rows of files in every format, of folders, of the Hub and of public sets."""

import itertools
import pickle
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from row_files import FIXTURES, ROWS, WRITERS, every_format, items, opened, write_jsonl

from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.segmenters import BlankLine
from stepforge.pipelines.inputs.column_rows import HubRows
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_problems
from stepforge.pipelines.inputs.tables import rows_of
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected


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
    def ids(rows: list[dict[str, str]]) -> dict[str, tuple[str, str]]:
        write_jsonl(tmp_path / "x.jsonl", rows)
        problems = [item.problem for item in items(opened(tmp_path / "x.jsonl"))]
        return {problem.question: (problem.id, problem.group) for problem in problems}

    before = ids(ROWS[:50])
    assert before == ids(ROWS[:50][::-1])
    assert len(set(before.values())) == 50


def test_byte_order_mark_crlf_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf\r\n{"question": "a\xe2\x80\xa8b"}\r\n\r\n{"question": "c"}')
    assert [item.problem.question for item in items(opened(tmp_path / "x.jsonl"))] == ["a\u2028b", "c"]
    (tmp_path / "x.csv").write_bytes(b'\xef\xbb\xbfquestion,answer\r\n"a\r\nb",1\r\n\r\nc,\r\n')
    found = items(opened(tmp_path / "x.csv", answer="answer"))
    assert [(i.problem.question, i.problem.answer) for i in found] == [("a\r\nb", "1"), ("c", None)]


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


def test_a_stream_is_read_as_far_as_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    read: list[int] = []

    def endless() -> Iterator[dict[str, object]]:
        for i in itertools.count():
            read.append(i)
            yield ROWS[i % len(ROWS)] | {"question": f"What is {i} + {i}?", "answer": 2 * i}

    def streamed(name: str, config: str | None, **more: object) -> Any:
        assert (name, more["streaming"]) == ("org/all", True)
        return datasets.IterableDataset.from_generator(endless)

    monkeypatch.setattr(datasets, "load_dataset", streamed)
    part = ProblemSet(hub="org/all", split="train", answer="answer", stream=True, limit=1500)
    source = open_problems(part)
    assert source.check().problems == len(source) == 1500
    assert items(source, 1499, 1500)[0].problem.answer == "2998"
    assert max(read) < 3000
    assert open_problems(part).prints() == source.prints()
    with pytest.raises(ValidationError, match="limit"):
        ProblemSet(hub="org/all", split="train", stream=True)


def test_brought_steps_join_to_a_text_that_cuts_into_them() -> None:
    part = ProblemSet(path="p.jsonl", question="problem", answer="answer", id="id", steps="steps")
    for item in items(opened(FIXTURES / "processbench_gsm8k_few.jsonl", **part.model_dump(exclude={"path", "kind"}))):
        steps = item.solutions[0].steps
        assert len(steps) > 1 and BlankLine()("".join(steps)) == steps


MATH = {"question": "problem", "id": "unique_id", "difficulty": "level", "domain": "subject", "solution": "solution"}


def test_fixtures_of_public_sets() -> None:
    gsm8k = items(opened(FIXTURES / "gsm8k_few.jsonl", answer="answer"))
    assert all(item.problem.answer and item.problem.answer.replace(",", "").isdigit() for item in gsm8k)
    maths = items(opened(FIXTURES / "math500_few.jsonl", answer="answer", **MATH))
    assert all(item.problem.difficulty in range(1, 6) and item.solutions for item in maths)


@every_format
def test_rows_are_chosen_by_quality_and_license(tmp_path: Path, suffix: str) -> None:
    rows = [
        {
            "question": f"What is {i} + 1?",
            "answer": str(i + 1),
            "score": str(i / 100),
            "terms": "MIT" if i % 2 else "secret",
        }
        for i in range(100)
    ]
    WRITERS[suffix](tmp_path / f"rows{suffix}", rows)

    def read(**settings: object) -> tuple[list[str], set[str]]:
        source = opened(tmp_path / f"rows{suffix}", quality="score", row_license="terms", **settings)
        assert source.check().rows == 100
        found = list(source.rows(0, 100))
        wanted = [row.problem for row in found if not isinstance(row, Rejected)]
        assert all(problem.kept[-1].name == "license" for problem in wanted)
        left_out = {f"{row.filter}: {row.reason}" for row in found if isinstance(row, Rejected)}
        return [problem.question for problem in wanted], left_out

    assert read() == ([row["question"] for row in rows], set())
    found, why = read(min_quality=0.5, licenses=["mit"])
    assert found == [row["question"] for row in rows[51::2]]
    assert why == {"selection: below min_quality", "selection: not under an accepted license"}
    drawn, why = read(quality_is_weight=True)
    assert 35 < len(drawn) < 65
    assert sum(question in drawn for question in (row["question"] for row in rows[50:])) > 0.6 * len(drawn)
    assert why == {"selection: not drawn, by quality"}
    assert read(quality_is_weight=True)[0] == drawn


def test_what_is_chosen_by_needs_its_column() -> None:
    with pytest.raises(ValidationError, match="name it as quality"):
        ProblemSet(path="x.csv", min_quality=0.5)
    with pytest.raises(ValidationError, match="name it as row_license"):
        ProblemSet(path="x.csv", licenses=("mit",))
