"""Every export in the shape that its consumer reads: schemas, round trips, files, ``load_dataset`` from the folder."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from scripted_rows import curated_run, scripted_rows
from typer.testing import CliRunner

from stepforge.cli import app
from stepforge.labelers import ChangePoint, Judge, MathShepherd, OmegaPRM
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.datasets import split_files
from stepforge.pipelines.datasets.split_files import SplitFiles
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.exports import (
    EXPORTS,
    KTO,
    AnyExport,
    MathShepherdText,
    ProcessBench,
    QwenPRM,
    RejectionSampling,
    RLHFlow,
    SoftStepwise,
    Stepwise,
    Verification,
)
from stepforge.pipelines.exports.critiques import judged_critiques, worked_critiques
from stepforge.pipelines.reports.card.features import card_features
from stepforge.pipelines.reports.card.training_notes import FOLDER, training_note
from stepforge.pipelines.reports.report import write_report
from stepforge.pipelines.run_folder.ledger import write_ledger
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.arrow import arrow_schema, from_table, to_table
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem, Quantity, Truth
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Step

ROWS = scripted_rows([MathShepherd(k=8)], 24)


def rows_of(part: AnyExport, rows: list[LabeledProblem] = ROWS) -> list[Any]:
    return [row for problem in rows for row in part.rows(problem)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A run folder with every export and its card."""
    run, layout = curated_run(tmp_path_factory.mktemp("exported"), ROWS, [part() for part in EXPORTS])
    export_all(run, layout)
    write_report(run, layout, write_ledger(layout, []))
    return layout


@pytest.mark.parametrize("part", EXPORTS, ids=lambda part: part().kind)
def test_every_export_loads_with_its_own_features(
    part: type[AnyExport], exported: Layout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    datasets = pytest.importorskip("datasets")
    cache = tmp_path_factory.getbasetemp() / "cache"
    loaded = datasets.load_dataset(str(exported.datasets), part().name, cache_dir=str(cache))
    assert set(loaded) == {"train", "test"}
    expected = datasets.Features.from_arrow_schema(arrow_schema(part().row))
    assert loaded["train"].features == expected
    assert card_features(arrow_schema(part().row)) == expected._to_yaml_list()
    assert loaded["train"].num_rows + loaded["test"].num_rows > 0
    own = {row.model_dump_json() for row in rows_of(part())}
    for row in loaded["train"]:
        assert part().row.model_validate(row).model_dump_json() in own


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


def test_math_shepherd_text_reads_back() -> None:
    stepwise = {row.solution_id: row for row in rows_of(Stepwise())}
    rows = rows_of(MathShepherdText())
    assert rows
    for row in rows:
        source = stepwise[row.solution_id]
        pieces = row.input.removeprefix(f"{source.prompt} ").split(" \u043a\u0438")
        assert pieces.pop() == ""
        steps = tuple(re.sub(r"^\n?Step \d+: ", "", piece) for piece in pieces)
        assert steps == source.completions
        assert row.label == source.prompt + " " + "".join(
            f"{piece} {'+' if right else '-'}" for piece, right in zip(pieces, source.labels, strict=True)
        )
        assert row.task == "quantities"


def test_steps_that_are_numbered_already_are_left_alone() -> None:
    part = MathShepherdText()
    assert part.text("Q", ("Step 1: a", "b"), ("+", "-")) == "Q Step 1: a +\nStep 2: b -"
    assert MathShepherdText(numbered=False).text("Q", ("a", "b"), ("+", "-")) == "Q a +\nb -"


def test_soft_values_are_the_shares_of_a_fixed_number() -> None:
    rows = rows_of(SoftStepwise())
    stepwise = {row.solution_id: row for row in rows_of(Stepwise())}
    assert rows
    for row in rows:
        assert row.input.count("\u043a\u0438") == len(row.value)
        assert row.value == stepwise[row.solution_id].values[: len(row.value)]
    assert {value for row in rows for value in row.value} - {0.0, 1.0}


def test_a_soft_row_ends_before_the_first_unknown_value() -> None:
    rows = rows_of(SoftStepwise(), scripted_rows([OmegaPRM(grow=False)], 12))
    stepwise = {row.solution_id: row for row in rows_of(Stepwise(), scripted_rows([OmegaPRM(grow=False)], 12))}
    for row in rows:
        values = stepwise[row.solution_id].values
        assert row.value == values[: len(row.value)]
        assert len(row.value) == len(values) or values[len(row.value)] is None


@pytest.mark.parametrize("part", [MathShepherdText(), SoftStepwise(), QwenPRM()], ids=lambda part: part.kind)
def test_a_solution_that_holds_the_step_token_is_left_out(part: MathShepherdText | SoftStepwise | QwenPRM) -> None:
    problem = ROWS[0]
    token = part.step_end
    first = problem.solutions[0]
    steps = (first.rollout.steps[0].model_copy(update={"text": f"a {token} b\n"}), *first.rollout.steps[1:])
    spoiled = first.model_copy(update={"rollout": first.rollout.model_copy(update={"steps": steps})})
    solutions = (spoiled, *problem.solutions[1:])
    rows = rows_of(part, [problem.model_copy(update={"solutions": solutions})])
    assert rows
    assert first.rollout.id not in {row.solution_id for row in rows}
    question = problem.problem.model_copy(update={"question": f"? {token}"})
    assert rows_of(part, [problem.model_copy(update={"problem": question})]) == []


def test_prm800k_lines_have_its_keys_and_read_back(exported: Layout) -> None:
    files = sorted((exported.datasets / "prm800k").glob("*"))
    assert {path.stem for path in files if path.suffix == ".jsonl"} == {p.stem for p in files if p.suffix == ".parquet"}
    lines = [
        json.loads(line)
        for path in files
        if path.suffix == ".jsonl"
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    stepwise = {row.solution_id: row for row in rows_of(Stepwise())}
    assert len(lines) == len(stepwise)
    for line in lines:
        source = stepwise[line["solution_id"]]
        steps = [step["completions"][step["chosen_completion"]] for step in line["label"]["steps"]]
        assert tuple(step["text"] for step in steps) == source.completions
        assert tuple(step["rating"] == 1 for step in steps) == source.labels
        assert line["label"]["finish_reason"] == ("found_error" if source.first_error >= 0 else "solution")
        assert line["question"]["problem"] == source.prompt
    assert set(lines[0]) >= {
        "labeler",
        "timestamp",
        "generation",
        "is_quality_control_question",
        "is_initial_screening_question",
        "question",
        "label",
    }


def test_qwen_messages_have_a_label_a_mark() -> None:
    stepwise = {row.solution_id: row for row in rows_of(Stepwise())}
    for row in rows_of(QwenPRM()):
        source = stepwise[row.solution_id]
        assert [turn.role for turn in row.messages] == ["system", "user", "assistant"]
        assert row.messages[1].content == source.prompt
        *steps, rest = row.messages[2].content.split("<extra_0>")
        assert rest == ""
        assert tuple(steps) == source.completions
        assert row.labels == tuple(map(int, source.labels))


def test_rlhflow_conversations_read_back() -> None:
    stepwise = {row.solution_id: row for row in rows_of(Stepwise())}
    for row in rows_of(RLHFlow()):
        source = stepwise[row.solution_id]
        asked, said = row.conversations[::2], row.conversations[1::2]
        assert {turn.role for turn in asked} == {"user"}
        assert asked[0].content == f"{source.prompt} {source.completions[0]}"
        assert tuple(turn.content for turn in asked[1:]) == source.completions[1:]
        assert tuple(turn.content == "+" for turn in said) == source.labels
        assert list(row.model_dump()["conversations"][0]) == ["content", "role"]


def test_process_bench_has_the_oracles_labels_and_no_labelers() -> None:
    rows = rows_of(ProcessBench())
    truths = {s.rollout.id: oracle_verdict(problem.problem, s.rollout) for problem in ROWS for s in problem.solutions}
    assert {row.label for row in rows} >= {-1, 1, 2}
    for row in rows:
        truth = truths[row.id.removeprefix("quantities-")]
        assert row.label == (-1 if truth.first_error is None else truth.first_error)
        assert row.final_answer_correct or row.label >= 0
        assert row.label < len(row.steps)
    assert len({row.id for row in rows}) == len(rows)
    untold = [p.model_copy(update={"problem": p.problem.model_copy(update={"truth": None})}) for p in ROWS]
    assert rows_of(ProcessBench(), untold) == []


def test_kto_and_rejection_sampling_keep_what_is_sure() -> None:
    solutions = {s.rollout.id: s for problem in ROWS for s in problem.solutions}
    kto, kept = rows_of(KTO()), rows_of(RejectionSampling())
    assert {row.label for row in kto} == {True, False}
    for row in kto:
        solution = solutions[row.solution_id]
        assert row.completion == solution.rollout.text
        assert row.label == (solution.rollout.outcome == "correct")
        assert not row.label or solution.verdict.finds_no_error
    assert {row.solution_id for row in kept} == {row.solution_id for row in kto if row.label}
    assert all(len(list(RejectionSampling(max_per_problem=1).rows(problem))) <= 1 for problem in ROWS)


@pytest.mark.parametrize("style", ["think_prm", "gen_prm"])
def test_verification_chains_agree_with_the_labels(style: Any) -> None:
    rows = rows_of(Verification(style=style))
    stepwise = {row.solution_id: row for row in rows_of(Stepwise())}
    assert rows
    for row in rows:
        said = " ".join(turn.content for turn in row.messages if turn.role == "assistant")
        verdicts = re.findall(r"\\boxed\{(\w+)\}", said)
        assert [v in ("correct", "Yes") for v in verdicts] == list(row.labels)
        assert row.labels == stepwise[row.solution_id].labels
        assert row.critique_from == "truth"
    assert {False in row.labels for row in rows} == {True, False}


def test_chains_that_contradict_a_label_are_left_out() -> None:
    """Where the labeler names another step than the truth, nothing is exported."""
    problem = next(p for p in ROWS if any(s.verdict.first_error is not None for s in p.solutions))
    moved = []
    for solution in problem.solutions:
        error = solution.verdict.first_error
        wrong = None if error is not None else 0
        moved.append(
            solution.model_copy(update={"verdict": solution.verdict.model_copy(update={"first_error": wrong})})
        )
    assert rows_of(Verification(), [problem.model_copy(update={"solutions": tuple(moved)})]) == []


def test_critiques_worked_out_from_the_truth() -> None:
    quantities = (
        Quantity(name="A", expression="", value="3"),
        Quantity(name="B", expression="2 * 3", value="6"),
    )
    problem = Problem(
        id="p", source="s", domain="d", question="?", answer="6", answer_kind="integer", group="g",
        truth=Truth(quantities=quantities),
    )  # fmt: skip
    lines = ("A = 3", "B = 2 * 3 = 7", "B = 5", "C = 1", "Answer: 6", "Wait: B = 2 * 3 = 6")
    critiques = worked_critiques(problem, [Step(text=f"{line}\n") for line in lines])
    assert critiques == (
        "A is 3. The step says 3.",
        "2 * 3 comes to 6, and the step says 7.",
        "B should be 2 * 3 = 6. The step says 5.",
        "The problem has no quantity called C.",
        "Answer is 6. The step says 6.",
        "B is 2 * 3 = 6. The step says 6.",
    )
    assert worked_critiques(problem, [Step(text="A = 3\nB = 6\n")]) is None
    assert worked_critiques(problem, [Step(text="so it goes\n")]) is None


@pytest.mark.parametrize(
    "words",
    [
        "<1>\nfine\n<2>\noff by one\nWrong step: 2",
        "Step 1: fine\nStep 2: off by one\nWrong step: 2",
        "## Step 1: fine\n\n## Step 2: off by one\n\nWrong step: 2",
        "1. fine\n2. off by one\nWrong step: 2",
    ],
)
def test_a_judges_words_are_cut_by_step(words: str) -> None:
    assert judged_critiques(words, 2) == ("fine", "off by one")
    assert judged_critiques(words, 3) is None


def test_a_judges_words_that_cannot_be_cut_are_not_used() -> None:
    assert judged_critiques("It is all fine.\nWrong step: none", 2) is None
    assert judged_critiques("Step 1: fine\nStep 3: odd", 2) is None


def test_a_judges_chain_is_preferred_where_it_agrees() -> None:
    problem = next(p for p in ROWS if p.solutions[0].verdict.first_error == 1)
    words = "Step 1: as given.\nStep 2: should be more.\nWrong step: 2"
    own = problem.solutions[0]
    judge = own.verdict.model_copy(update={"labeler": Judge().name, "critique": words})
    solutions = (own.model_copy(update={"others": (judge,)}), *problem.solutions[1:])
    row = next(iter(Verification().rows(problem.model_copy(update={"solutions": solutions}))))
    assert row.critique_from == "judge"
    assert row.messages[1].content == (
        "Step 1: as given. The step is \\boxed{correct}.\n\nStep 2: should be more. The step is \\boxed{incorrect}."
    )


def test_files_and_row_groups_are_bounded_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_files, "GROUP_BYTES", 20_000)
    monkeypatch.setattr(split_files, "FILE_BYTES", 60_000)
    monkeypatch.setattr(split_files, "BATCH_ROWS", 16)
    rows: list[Record] = [
        row.model_copy(update={"problem_id": f"{i}"}) for i in range(20) for row in rows_of(Stepwise())
    ]
    files = SplitFiles(tmp_path, "train", "0", json_lines=True)
    for start in range(0, len(rows), 7):
        files.add(to_table(rows[start : start + 7], Stepwise.row))
    parts = files.close()
    assert len(parts) > 2
    assert [r for path in parts for r in from_table(pq.read_table(path), Stepwise.row)] == rows
    lines = [line for path in parts for line in path.with_suffix(".jsonl").read_text("utf-8").splitlines()]
    assert [Stepwise.row.model_validate_json(line) for line in lines] == rows
    for path in parts:
        metadata = pq.read_metadata(path)
        sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        assert max(sizes) < 20_000
        assert sum(sizes) < 90_000
        assert metadata.row_group(0).column(0).has_offset_index
        assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_flipped_bit_in_a_data_set_is_noticed(exported: Layout, tmp_path: Path) -> None:
    (path,) = (exported.datasets / "stepwise").glob("train-*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(data)
    with pytest.raises(OSError):
        pq.read_table(bad, page_checksum_verification=True)


def run_command(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.stdout + result.stderr


def test_the_export_command_adds_a_format_and_does_nothing_twice(tmp_path: Path) -> None:
    _, layout = curated_run(tmp_path, ROWS[:6], [Stepwise()])
    code, text = run_command("export", tmp_path, "--only", "kto")
    assert (code, "kto" in text) == (0, True)
    assert sorted(path.name for path in layout.datasets.iterdir()) == ["README.md", "figures", "kto"]
    assert run_command("export", tmp_path)[0] == 0
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (layout.datasets / "kto").iterdir()}
    assert run_command("export", tmp_path)[0] == 0
    assert run_command("export", tmp_path, "--only", "kto")[0] == 0
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (layout.datasets / "kto").iterdir()}
    card = (layout.datasets / "README.md").read_text()
    assert "config_name: stepwise" in card
    assert "config_name: kto" in card
    assert layout.run_file.read_text().count('kind = "kto"') == 1


def test_the_export_command_refuses_in_one_line(tmp_path: Path) -> None:
    curated_run(tmp_path / "run", ROWS[:3], [])
    code, text = run_command("export", tmp_path / "run", "--only", "nonsense")
    assert code == 2
    assert "neither an export of this run nor a kind; the kinds are stepwise, " in text
    assert run_command("export", tmp_path / "run")[0] == 2
    assert run_command("export", tmp_path / "nowhere")[0] == 2
    curated_run(tmp_path / "empty", [], [Stepwise()])
    assert run_command("export", tmp_path / "empty")[0] == 2
    assert not (tmp_path / "run" / "datasets").exists()


def test_a_damaged_or_missing_file_is_made_again(tmp_path: Path) -> None:
    _, layout = curated_run(tmp_path, ROWS[:6], [Stepwise()])
    assert run_command("export", tmp_path)[0] == 0
    (path,) = (layout.datasets / "stepwise").glob("train-*.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert run_command("export", tmp_path)[0] == 0
    assert path.read_bytes() == whole


def test_values_of_a_belief_are_exported_as_soft_targets() -> None:
    rows = scripted_rows([ChangePoint(pilot=0)], 6)
    soft = {row.solution_id: row.value for row in rows_of(SoftStepwise(), rows)}
    for row in rows_of(Stepwise(), rows):
        assert row.values_from == "belief"
        assert soft[row.solution_id] == row.values
