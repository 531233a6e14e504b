"""Files of exports: their features and size, damage that is noticed, and the export command."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import invoked
from exported_rows import ROWS, STEPWISE, WITH_ROWS, rows_of
from pydantic import ValidationError
from scripted_rows import curated_run, exported_run

from stepforge.pipelines.datasets import splits
from stepforge.pipelines.datasets.columns import ProblemColumns, columns_of
from stepforge.pipelines.datasets.writer import rows_by_split
from stepforge.pipelines.exports import EXPORTS, AnyExport, Stepwise
from stepforge.pipelines.reports.card.training_notes import FOLDER, training_note
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.arrow import from_table, to_table
from stepforge.schemas.record import Record


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A run folder with every export and its card."""
    return exported_run(tmp_path_factory.mktemp("exported"), ROWS, [part() for part in EXPORTS])[1]


@pytest.mark.parametrize("part", WITH_ROWS, ids=lambda part: part().kind)
def test_every_export_loads_with_its_own_features(
    part: type[AnyExport], exported: Layout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    datasets = pytest.importorskip("datasets")
    cache = tmp_path_factory.getbasetemp() / "cache"
    loaded = datasets.load_dataset(str(exported.datasets), part().name, cache_dir=str(cache))
    assert set(loaded) <= {"train", "test"}
    columns = columns_of(part(), carries=False)
    expected = datasets.Features.from_arrow_schema(columns)
    assert all(split.features == expected for split in loaded.values())
    assert {name: split.num_rows for name, split in loaded.items()} == {
        name: rows for name, rows in rows_by_split(exported, part().name).items() if rows
    }
    own = {row.model_dump_json() for row in rows_of(part())}
    read = [row for split in loaded.values() for row in split]
    assert len(read) == len(own)
    for row in read:
        assert row["license"] == "apache-2.0"
        assert row["problem_source"] == "quantities"
        assert row["generation_model"]
        assert 0 <= row["pass_rate"] <= 1
        assert row["parents"] == []
        plain = {name: value for name, value in row.items() if name not in ProblemColumns.model_fields}
        assert part().row_class.model_validate(plain).model_dump_json() in own


def test_traces_are_a_configuration_beside_the_others(exported: Layout, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(exported.datasets), "traces", split="train", cache_dir=str(tmp_path))
    files = sorted((exported.datasets / "traces").glob("*.jsonl"))
    assert [row["trace"] for row in loaded] == [path.read_text(encoding="utf-8") for path in files] and files
    for row in loaded:
        header, *lines = map(json.loads, row["trace"].splitlines())
        assert (header["type"], header["harness"], header["id"]) == ("session", "stepforge", row["session_id"])
        assert [line["message"] for line in lines] == row["messages"]
        assert row["first_error"] == header["first_error"]


def test_every_export_has_a_training_note() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {part().kind for part in EXPORTS}
    for part in EXPORTS:
        note = training_note(part(name="other_name"))
        assert note.about
        assert 'load_dataset("path/of/this/folder", "other_name"' in note.text
        (code,) = re.findall(r"```python\n(.*?)```", note.text, re.S)
        compile(code, part().kind, "exec")


@pytest.mark.parametrize("name", ["../up", "a/b", "", "a b", ".hidden", "x" * 65, "é"])
def test_a_name_that_is_no_plain_name_is_refused(name: str) -> None:
    for part in EXPORTS:
        with pytest.raises(ValidationError, match="name"):
            part(name=name)


def test_files_and_row_groups_are_bounded_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "GROUP_BYTES", 20_000)
    monkeypatch.setattr(splits, "FILE_BYTES", 60_000)
    rows: list[Record] = [
        row.model_copy(update={"problem_id": f"{i}"}) for i in range(20) for row in rows_of(Stepwise())
    ]
    tables = (to_table(rows[start : start + 7], Stepwise.row) for start in range(0, len(rows), 7))
    parts = splits.write_split(tmp_path, "train", tables, "0")
    assert [path.name for path in parts] == [f"train-{i:05d}-of-{len(parts):05d}.parquet" for i in range(len(parts))]
    assert len(parts) > 2
    assert [r for path in parts for r in from_table(pq.read_table(path), Stepwise.row)] == rows
    for path in parts:
        metadata = pq.read_metadata(path)
        sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        assert max(sizes) < 20_000
        assert sum(sizes) < 90_000
        assert metadata.row_group(0).column(0).has_offset_index
        assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_prm800k_lines_read_back(exported: Layout) -> None:
    files = sorted((exported.datasets / "prm800k").glob("*"))
    assert {path.stem for path in files if path.suffix == ".jsonl"} == {p.stem for p in files if p.suffix == ".parquet"}
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix == ".jsonl"]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert len(lines) == len(STEPWISE)
    for line in lines:
        source = STEPWISE[line["solution_id"]]
        steps = [step["completions"][step["chosen_completion"]] for step in line["label"]["steps"]]
        assert tuple(step["text"] for step in steps) == source.completions
        assert tuple(step["rating"] == 1 for step in steps) == source.labels
        assert line["label"]["finish_reason"] == ("found_error" if source.first_error >= 0 else "solution")
        assert line["question"]["problem"] == source.prompt


def test_the_export_command_adds_a_format_and_does_nothing_twice(tmp_path: Path) -> None:
    _, layout = curated_run(tmp_path, ROWS[:6], [Stepwise()])
    code, text = invoked("export", tmp_path, "--only", "kto")
    assert (code, "kto" in text) == (0, True)
    assert sorted(path.name for path in layout.datasets.iterdir()) == (
        ["README.md", "croissant.json", "dataset_info.json", "figures", "kto", "traces"]
    )
    assert invoked("export", tmp_path)[0] == 0
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (layout.datasets / "kto").iterdir()}
    assert invoked("export", tmp_path)[0] == 0
    assert invoked("export", tmp_path, "--only", "kto")[0] == 0
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (layout.datasets / "kto").iterdir()}
    card = (layout.datasets / "README.md").read_text()
    assert "config_name: stepwise" in card
    assert "config_name: kto" in card
    assert layout.run_file.read_text().count('kind = "kto"') == 1


def test_the_export_command_refuses_in_one_line(tmp_path: Path) -> None:
    curated_run(tmp_path / "run", ROWS[:3], [])
    code, text = invoked("export", tmp_path / "run", "--only", "nonsense")
    assert code == 2
    assert "neither an export of this run nor a kind; the kinds are stepwise, " in text
    assert invoked("export", tmp_path / "run")[0] == 2
    assert invoked("export", tmp_path / "nowhere")[0] == 2
    curated_run(tmp_path / "empty", [], [Stepwise()])
    assert invoked("export", tmp_path / "empty")[0] == 2
    assert not (tmp_path / "run" / "datasets").exists()


def test_a_damaged_or_missing_file_is_made_again(tmp_path: Path) -> None:
    _, layout = curated_run(tmp_path, ROWS[:6], [Stepwise()])
    assert invoked("export", tmp_path)[0] == 0
    (path,) = (layout.datasets / "stepwise").glob("train-*.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert invoked("export", tmp_path)[0] == 0
    assert path.read_bytes() == whole
