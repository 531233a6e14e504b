"""Two runs side by side: the same problems paired, and intervals that hold the difference."""

from pathlib import Path

import pytest
from command_line import refused
from fakes import verdict_of
from scripted_rows import curated_run, scripted_rows

from stepforge.labelers import MathShepherd
from stepforge.pipelines.compare.compare import compare, comparison_text
from stepforge.schemas.labeled import LabeledProblem


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    return scripted_rows([MathShepherd(k=4)], 12, error_rate=0.2)


def blind(row: LabeledProblem) -> LabeledProblem:
    """Return a problem whose labels find nothing."""
    solutions = (s.model_copy(update={"verdict": verdict_of(s.verdict.labeler)}) for s in row.solutions)
    return row.model_copy(update={"solutions": tuple(solutions)})


def test_differences_are_paired_and_have_intervals(rows: list[LabeledProblem], tmp_path: Path) -> None:
    curated_run(tmp_path / "a", rows[:9], [])
    curated_run(tmp_path / "b", [blind(row) for row in rows[3:]], [])
    found = compare(tmp_path / "a", tmp_path / "b")
    assert (found.problems_in_both, found.problems_only_in) == (6, (3, 3))
    by = {d.figure: d for d in found.figures}
    assert (by["right answers"].difference, by["right answers"].low, by["right answers"].high) == (0, 0, 0)
    wrong = by["wrong step found"]
    solutions = [s for row in rows[3:9] for s in row.solutions]
    share = sum(s.verdict.first_error is not None for s in solutions) / len(solutions)
    assert wrong.second == 0
    assert wrong.difference is not None and abs(wrong.difference + share) < 1e-3
    assert wrong.low is not None and wrong.high is not None and wrong.low <= wrong.difference <= wrong.high <= 0
    assert wrong.p_holm is not None and wrong.p is not None and wrong.p_holm >= wrong.p
    assert found.same_solutions == sum(len({s.rollout.text for s in row.solutions}) for row in rows[3:9])
    assert "6 problems in both" in comparison_text(found)


def test_runs_without_a_common_problem_are_refused_in_a_line(rows: list[LabeledProblem], tmp_path: Path) -> None:
    curated_run(tmp_path / "a", rows[:3], [])
    others = [row.problem.model_copy(update={"question": f"{row.problem.question}!"}) for row in rows[:3]]
    same_ids = [row.model_copy(update={"problem": other}) for row, other in zip(rows[:3], others, strict=True)]
    curated_run(tmp_path / "b", [*same_ids, *rows[3:6]], [])
    assert "no labeled problem in common" in refused("compare", tmp_path / "a", tmp_path / "b")
    assert "not a run folder" in refused("compare", tmp_path, tmp_path / "b")
