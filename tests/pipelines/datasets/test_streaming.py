"""Reports, cards and data sets read a few problems at a time, and give what reading all of them at once gives."""

import weakref
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_rows import curated_run, scripted_rows, write_stages

from stepforge.labelers import MathShepherd, OmegaPRM, Oracle, Sequential
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.reports.card import write_card
from stepforge.pipelines.reports.label_accuracy import Judged, counted, judge_problem, label_figures, step_auc
from stepforge.pipelines.reports.report import measured
from stepforge.pipelines.run_folder.ledger import build_ledger
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage import shards
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem

LABELERS = (OmegaPRM(search_limit=6), MathShepherd(k=2), Sequential(), Oracle())


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    return scripted_rows(LABELERS, 24, error_rate=0.2)


def verdicts(rows: Sequence[LabeledProblem]) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = defaultdict(list)
    for row in rows:
        for labeler, judged in judge_problem(row).items():
            found[labeler] += judged
    return found


def one_shard(folder: Path, rows: Sequence[LabeledProblem]) -> tuple[RunFile, Layout]:
    """A run folder whose one shard holds all rows, so that what is bounded is not bounded by the shards."""
    run, layout = curated_run(folder, rows[:3], [part() for part in EXPORTS])
    write_stages(layout, 0, rows, run)
    return run, layout


def test_the_report_of_a_run_gives_the_figures_of_its_rows(tmp_path: Path, rows: list[LabeledProblem]) -> None:
    run, layout = curated_run(tmp_path, rows, [])
    report = measured(run, layout, build_ledger(layout, [])).report
    for labeler, judged in verdicts(rows).items():
        figures = report.labelers[labeler].model_dump()
        expected = label_figures(counted(judged)).model_dump()
        assert {key: figures[key] for key in expected} == expected
        aucs = [auc for row in rows if (auc := step_auc(row, labeler)) is not None]
        assert figures["step_auc_within_problem"] == pytest.approx(sum(aucs) / len(aucs), abs=1e-12)
        for name, part in figures["by"].items():
            if name.startswith("difficulty: "):
                chosen = [row for row in rows if f"difficulty: {row.problem.difficulty}" == name]
                assert part == label_figures(counted(verdicts(chosen)[labeler])).model_dump()


def test_no_more_than_a_few_problems_are_in_memory(
    tmp_path: Path, rows: list[LabeledProblem], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, layout = one_shard(tmp_path, rows)
    alive: weakref.WeakSet[LabeledProblem] = weakref.WeakSet()
    most = made = 0
    from_table = shards.from_table

    def watched(*arguments: Any) -> list[Any]:
        nonlocal most, made
        records = from_table(*arguments)
        problems = [record for record in records if isinstance(record, LabeledProblem)]
        for record in problems:
            alive.add(record)
        most, made = max(most, len(alive)), made + len(problems)
        return records

    monkeypatch.setattr(shards, "from_table", watched)
    monkeypatch.setattr(shards, "ROWS_AT_A_TIME", 4)
    export_all(run, layout)
    write_card(layout, run, *measured(run, layout, build_ledger(layout, [])))
    assert made == 2 * len(rows)  # each shard once for all exports, and once for the report and the card
    assert most <= 3 * 4  # those being made, those before them, and what is being looked at


def test_rows_come_back_the_same_however_many_at_a_time(
    tmp_path: Path, rows: list[LabeledProblem], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, layout = one_shard(tmp_path, rows)
    path = layout.shard("label", 0)
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(shards, "ROWS_AT_A_TIME", size)
        assert list(read_rows(path, LabeledProblem)) == rows


def test_columns_can_be_left_empty_and_rows_left_out(tmp_path: Path, rows: list[LabeledProblem]) -> None:
    _, layout = one_shard(tmp_path, rows)
    path = layout.shard("label", 0)
    assert any(row.evidence for row in rows)
    bare = [row.model_copy(update=dict.fromkeys(COMPLETIONS, ())) for row in rows]
    assert list(read_rows(path, LabeledProblem, without=COMPLETIONS)) == bare
    assert list(read_rows(path, LabeledProblem, only={0, 7, len(rows) - 1})) == [rows[0], rows[7], rows[-1]]


@pytest.mark.parametrize("part", [part() for part in EXPORTS if not part.needs_completions], ids=lambda part: part.kind)
def test_exports_that_are_given_no_completions_need_none(part: Any, rows: list[LabeledProblem]) -> None:
    bare = [row.model_copy(update=dict.fromkeys(COMPLETIONS, ())) for row in rows]
    whole = [exported for row in rows for exported in part.rows(row)]
    assert [exported for row in bare for exported in part.rows(row)] == whole
