"""PRMBench's rows and its figure, counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import invoked

from stepforge.pipelines.scoring.calibration import fitted
from stepforge.pipelines.scoring.cases import cases_on


def _row(category: str, idx: str, steps: list[str], errors: list[int]) -> dict[str, object]:
    return {
        "idx": idx,
        "classification": category,
        "modified_question": f"question of {idx}",
        "modified_process": steps,
        "error_steps": errors,
    }


ROWS = [
    _row("circular", "p_0", ["1. a", "2. b", "3. c"], [2, 3, 9]),  # there is no ninth step
    _row("redundency", "redundency_p_0", ["a", "b"], [1]),
    _row("multi_solutions", "p_1", ["a", "2.5 b"], []),
    _row("multi_solutions", "p_1", ["again", "again"], []),
]
SCORES = {
    "circular_p_0": [0.9, 0.2, 0.5],  # one right step kept, two wrong ones found: 0.5 is not above 0.5
    "redundency_p_0": [0.8, 0.4],  # a wrong step missed, a right one flagged
    "multi_solutions_p_1": [0.9, 0.1],  # of two right steps one is flagged
}


def test_figures_are_those_counted_by_hand(tmp_path: Path) -> None:
    on, scores = tmp_path / "prmbench.jsonl", tmp_path / "scores.jsonl"
    on.write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    scores.write_text("\n".join(json.dumps({"id": k, "scores": v}) for k, v in SCORES.items()) + "\n")
    found = {one["name"]: one for one in json.loads(invoked("score", scores, "--on", on, "--json")[1])["prm_scores"]}
    assert [found[name]["score"] for name in ("circular", "redundency")] == [100, 0]
    assert found["simplicity"]["score"] == 50
    assert found["multi_solutions"]["score"] == pytest.approx(100 * 2 / 3), "no wrong step: one F1 only"
    # all: right steps 2 kept, 2 flagged; wrong steps 1 kept, 2 found
    assert found["all"]["right_f1"] == pytest.approx(100 * 4 / 7)
    assert found["all"]["wrong_f1"] == pytest.approx(100 * 4 / 7)
    assert (found["all"]["steps"], found["all"]["wrong_steps"]) == (7, 3)
    assert "PRMScore" in invoked("score", scores, "--on", on)[1]


def test_numbers_before_steps_and_second_copies_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    first, _, last = cases_on(str(tmp_path / "rows.jsonl"))
    assert (first.steps, first.wrong, first.label) == (("a", "b", "c"), (1, 2), 1)
    assert (last.steps, last.wrong, last.label) == (("a", "2.5 b"), (), -1)


def test_a_calibration_is_found_where_scores_say_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    scores, right = rng.random(20_000), (rng.random(20_000) < 0.85).astype(float)
    found = fitted(scores, right)
    assert found.probability(0.01) == pytest.approx(0.85, abs=0.03)
    assert found.probability(0.99) == pytest.approx(0.85, abs=0.03)
