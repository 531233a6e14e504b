"""The end of a report: what is no row and why, where everything lies, and no table without a figure."""

from pathlib import Path

import pytest
from small_run import small_run

from stepforge.pipelines.progress.status import fresh_report
from stepforge.pipelines.reports.records import Report, SolutionFigures
from stepforge.pipelines.reports.text import report_text
from stepforge.schemas.rollout import SUPPLIED


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
    assert report.solutions == SolutionFigures(labeled=24, abstained={}, kept=24, repeated=0)
    vet = report.stages["vet"].model_copy(
        update={
            "rows_in": 20,
            "rejected": {"difficulty: too hard": 5, "shape: no answer": 3},
            "failures": {"OSError": 1},
        }
    )
    solutions = SolutionFigures(labeled=24, abstained={"too few": 2}, kept=22, repeated=3)
    some = {"solutions": solutions, "stages": {"vet": vet}}
    text = report_text(report.model_copy(update=some), folder)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "problems, rejected in vet 5 20 difficulty: too hard" in lines
    assert "problems, failed in vet 1 20 OSError" in lines
    assert "solutions without a verdict 2 24 too few" in lines
    assert "solutions 3 22 repeat another one of their problem" in lines
    assert "19 of 24 labeled solutions can become rows" in text


def test_reasons_that_differ_by_row_are_counted_together(done: tuple[Report, Path]) -> None:
    report, folder = done
    rejected = {"own: rate 0.9": 4, **{f"own: rate 0.{n}": 1 for n in range(10, 60)}}
    vet = report.stages["vet"].model_copy(update={"rows_in": 60, "rejected": rejected})
    text = report_text(report.model_copy(update={"stages": {"vet": vet}}), folder)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "problems, rejected in vet 4 60 own: rate 0.9" in lines
    assert "problems, rejected in vet 45 60 other reasons" in lines
    assert text.count("own: rate") == 6


def test_without_a_truth_the_verdicts_stand_beside_the_answers(done: tuple[Report, Path]) -> None:
    report, folder = done
    counts = {"correct, no wrong step": 9, "correct, wrong step": 1, "wrong, wrong step": 6, "wrong, abstained": 2}
    text = report_text(
        report.model_copy(update={"shape": report.shape.model_copy(update={"solutions": counts})}), folder
    )
    name = next(iter(report.labelers))
    assert f"{name} finds a wrong step in 6 of 6 solutions with a wrong answer and in 1 of 10 solutions" in text
    assert "2 have no verdict" in text


def test_data_that_trains_a_policy_is_not_made_from_supplied_solutions(done: tuple[Report, Path]) -> None:
    report, folder = done
    identity = report.policy.identity
    assert identity is not None
    empty = report.exports["preference"].model_copy(update={"rows": {"train": 0, "test": 0}})
    made = {"exports": {**report.exports, "preference": empty}}
    assert "no row in preference" not in report_text(report.model_copy(update=made), folder)
    made["policy"] = report.policy.model_copy(update={"identity": identity.model_copy(update={"model": SUPPLIED})})
    assert "no row in preference: its data trains a policy" in report_text(report.model_copy(update=made), folder)


def test_large_figures_have_separators_and_no_sampling_no_price(done: tuple[Report, Path]) -> None:
    report, folder = done
    price = report.cost.per_kept_row
    assert price is not None
    cost = report.cost.model_copy(update={"per_kept_row": price.model_copy(update={"prompt_tokens": 29288.4})})
    name, figures = next(iter(report.labelers.items()))

    def text(rollouts: float) -> str:
        labelers = {name: figures.model_copy(update={"rollouts_per_solution": rollouts})}
        return report_text(report.model_copy(update={"cost": cost, "labelers": labelers}), folder)

    assert "  29,288 " in text(2.5)
    assert "rollouts per solution  2.5" in text(2.5)
    assert "rollouts per solution" not in text(0.0)
