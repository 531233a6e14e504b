"""Files of responses, graded and audited by the command's own function."""

import gzip
import json
import math
from pathlib import Path

import pytest

from stepforge.pipelines.commands.grade import grade_file
from stepforge.schemas.errors import BadInput

FEW = Path(__file__).parents[2] / "fixtures" / "processbench_few.jsonl"


def test_real_responses_are_graded_as_their_labels_say(tmp_path: Path) -> None:
    out = tmp_path / "graded.jsonl"
    summary = grade_file(FEW, "answer", "steps", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["verdict"] == "correct" for row in rows] == [row["final_answer_correct"] for row in rows]
    assert [row["extracted"] for row in rows] == ["30", r"\$37,800", "53 minutes", "$72", r"\$324"]
    assert (summary.rows, summary.correct, summary.wrong, summary.undetermined) == (5, 3, 2, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["graded.jsonl"]


def test_csv_is_read_and_standard_output_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('gold,reply\n007,"The answer is 7."\n18,"I give up"\n')
    grade_file(table, "gold", "reply", None)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["gold"], row["verdict"], row["extracted"]) for row in rows] == [
        ("007", "correct", "7"),
        ("18", "undetermined", None),
    ]


BAD = [
    ('{"a": "1", "r": "1"}\n{"a": ', "row 2: not JSON"),
    ('{"a": "1", "r": "1"}\n[1]', "row 2: is not a JSON object"),
    ('{"a": "1"}', "row 1: no column 'r'"),
    ('{"a": "1", "r": {"x": 1}}', "row 1: column 'r' is a dict"),
    ('{"a": "1", "r": ["x", 1]}', "row 1: column 'r' is a list"),
    ('{"a": "1", "r": NaN}', "row 1: column 'r' is a float"),
    (f'{{"a": "1", "r": "1", "x": {"[" * 300 + "]" * 300}}}', "row 1: cannot be written as JSON"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_is_refused_with_its_place_and_nothing_is_written(tmp_path: Path, text: str, message: str) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(text)
    out.write_text("as it was")
    with pytest.raises(BadInput, match=message) as refused:
        grade_file(source, "a", "r", out)
    assert "\n" not in str(refused.value)
    assert out.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


ROWS = [
    {"a": "1/2", "r": "So \\boxed{0.5}.", "other": True, "score": math.nan},
    {"a": "1/2", "r": "So \\boxed{0.5}.", "other": "wrong", "score": math.inf},
    {"a": "18", "r": "The answer is 19.", "other": 1, "score": 0.5},
    {"a": "18", "r": "I give up", "other": "0", "score": 1},
    {"a": "18", "r": "The answer is 19.", "other": None, "score": 1},
]


def written(folder: Path) -> Path:
    path = folder / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return path


def test_an_audit_lists_disagreements_by_kind(tmp_path: Path) -> None:
    out = tmp_path / "graded.jsonl"
    audit = grade_file(written(tmp_path), "a", "r", out, audit="other").audit
    assert audit is not None
    assert (audit.agree, audit.disagree, audit.we_leave_open, audit.they_leave_open) == (1, 2, 1, 1)
    kinds = {(found.ours, found.theirs, found.kind, found.rows) for found in audit.disagreements}
    assert kinds == {
        ("correct", "wrong", "number, equal values", 1),
        ("wrong", "correct", "number", 1),
        ("undetermined", "wrong", "no answer found", 1),
        ("wrong", "undetermined", "number", 1),
    }
    assert "we say correct, they say wrong: number, equal values" in str(audit)
    rows = [json.loads(line, parse_constant=pytest.fail) for line in out.read_text().splitlines()]
    assert [row["score"] for row in rows] == [None, None, 0.5, 1, 1]


def test_an_audit_alone_writes_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grade_file(written(tmp_path), "a", "r", None, audit="other")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": "1", "r": "1", "other": 0.7}, "column 'other' is '0.7'"),
        ({"a": "1", "r": "1"}, "no column 'other'"),
        ({"a": "1", "r": "1", "other": 1, "verdict": "correct"}, "already has a column 'verdict'"),
        ({"a": "1", "r": "1", "other": 1, "extracted": None}, "already has a column 'extracted'"),
    ],
)
def test_an_audit_of_a_column_that_is_none_is_refused(tmp_path: Path, row: dict[str, object], message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(BadInput, match=message):
        grade_file(path, "a", "r", None, audit="other")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        grade_file(tmp_path / "none.jsonl", "a", "r", None)
    with pytest.raises(BadInput, match="does not exist"):
        grade_file(FEW, "answer", "steps", tmp_path / "none" / "out.jsonl")
