"""Reports, cards and data sets read a few problems at a time, and give what reading all of them at once gives."""

import weakref
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_rows import curated_run, scripted_rows, write_stages

from stepforge.labelers import MathShepherd, OmegaPRM, Oracle, Sequential
from stepforge.labelers.oracle import first_fatal
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.reports.card import write_card
from stepforge.pipelines.reports.label_accuracy import (
    Judged,
    accuracies,
    counted,
    harmonic_mean,
    judge_problem,
    label_figures,
    step_auc,
)
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
    return scripted_rows(LABELERS, 60, error_rate=0.2)


def share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def from_lists(judged: Sequence[Judged]) -> dict[str, Any]:
    """The label figures from a list of all verdicts, each figure by a look at the whole list."""
    wrong = [j for j in judged if j.erroneous]
    right = [j for j in judged if not j.erroneous]
    wrong_answer = [j for j in wrong if not j.answer_correct]
    lucky = [j for j in wrong if j.answer_correct]
    first, clean = share([j.exact for j in wrong_answer]), share([j.exact for j in right])
    every = share([j.exact for j in wrong])
    return {
        "first_error_accuracy": first,
        "correct_solution_accuracy": clean,
        "processbench_f1": harmonic_mean(first, clean),
        "first_error_within_one": share([j.near for j in wrong_answer]),
        "first_error_accuracy_all_erroneous": every,
        "processbench_f1_all_erroneous": harmonic_mean(every, clean),
        "first_fatal_accuracy": share([j.fatal_exact for j in wrong if first_fatal(j.truth) is not None]),
        "right_answer_wrong_step_recall": share([j.flagged for j in lucky]),
        "right_answer_wrong_step_precision": share([j.erroneous for j in judged if j.flagged]),
        "abstained_share": share([j.verdict.abstained for j in judged]),
        "wrong_solutions": len(wrong_answer),
        "correct_solutions": len(right),
        "right_answer_through_wrong_step": len(lucky),
        "exact_first_errors": sum(j.exact for j in wrong),
        "exact_first_errors_of_wrong_solutions": sum(j.exact for j in wrong_answer),
    }


def verdicts(rows: Sequence[LabeledProblem]) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = defaultdict(list)
    for row in rows:
        for labeler, judged in judge_problem(row).items():
            found[labeler] += judged
    return found


def test_running_counts_give_what_lists_of_all_verdicts_give(rows: list[LabeledProblem]) -> None:
    for labeler, judged in verdicts(rows).items():
        expected = from_lists(judged)
        assert accuracies(judged) == expected
        counts = Counter[str]()
        for start in range(0, len(judged), 7):
            counts.update(counted(judged[start : start + 7]))
        assert label_figures(counts).model_dump() == expected
        assert expected["wrong_solutions"] > 40, labeler
    assert accuracies([]) == from_lists([])


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
        assert {key: figures[key] for key in from_lists([])} == from_lists(judged)
        aucs = [auc for row in rows if (auc := step_auc(row, labeler)) is not None]
        assert figures["step_auc_within_problem"] == pytest.approx(sum(aucs) / len(aucs), abs=1e-12)
        for name, part in figures["by"].items():
            if name.startswith("difficulty: "):
                chosen = [row for row in rows if f"difficulty: {row.problem.difficulty}" == name]
                assert {key: part[key] for key in part} == from_lists(verdicts(chosen)[labeler])


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
