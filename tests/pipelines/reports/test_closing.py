"""The end of a report: what is no row and why, where everything lies, and no table without a figure."""

from pathlib import Path

import pytest
from small_run import small_run

from stepforge.pipelines.progress.status import fresh_report
from stepforge.pipelines.reports.records import Report, SolutionFigures
from stepforge.pipelines.reports.text import report_text


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    layout = small_run(tmp_path_factory.mktemp("closing") / "run", exports=["stepwise", "preference"])
    return fresh_report(layout.folder), layout.folder


def test_it_says_where_everything_lies_and_what_is_next(done: tuple[Report, Path]) -> None:
    report, folder = done
    end = report_text(report, folder).splitlines()[-4:]
    assert [line.split()[-1] for line in end[:3]] == [
        str(folder / name) for name in ("datasets", "datasets/README.md", "report.json")
    ]
    assert f"stepforge show {folder} --wrong" in end[3]
    assert f"stepforge publish {folder} --repo ORG/NAME --dry-run" in end[3]
    assert all((folder / name).exists() for name in ("datasets", "datasets/README.md", "report.json"))


def test_nothing_is_said_of_truth_that_is_not_there(done: tuple[Report, Path]) -> None:
    text = report_text(*done)
    assert "oracle" not in text
    assert "first error, exact" not in text
    assert "not in the data sets" not in text


def test_why_solutions_are_no_rows(done: tuple[Report, Path]) -> None:
    report, folder = done
    assert report.solutions == SolutionFigures(labeled=24, abstained={}, kept=24)
    vet = report.stages["vet"].model_copy(
        update={
            "rows_in": 20,
            "rejected": {"difficulty: too hard": 5, "shape: no answer": 3},
            "failures": {"OSError": 1},
        }
    )
    some = {"solutions": SolutionFigures(labeled=24, abstained={"too few": 2}, kept=22), "stages": {"vet": vet}}
    text = report_text(report.model_copy(update=some), folder)
    assert (
        "9 of 20 problems in vet: 5 rejected, difficulty: too hard; 3 rejected, shape: no answer; 1 failed, OSE" in text
    )
    assert "2 of 24 solutions have no verdict: 2 too few" in text
    assert "22 of 24 labeled solutions can become rows" in text


def test_a_run_without_rows_says_where_to_look(done: tuple[Report, Path]) -> None:
    report, folder = done
    none = {name: entry.model_copy(update={"rows": {"train": 0, "test": 0}}) for name, entry in report.exports.items()}
    text = report_text(report.model_copy(update={"exports": none}), folder)
    assert f"no data set has a row. Why problems were lost: stepforge show {folder} --failed" in text
    assert "publish" not in text
