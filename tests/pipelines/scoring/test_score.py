"""The published metric to the last digit, the threshold rule, calibration, curves and probes."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import invoked
from fakes import KnownScorer
from scripted_rows import curated_run, scripted_rows

from stepforge.labelers import ChangePoint
from stepforge.pipelines.scorers import named_scorer
from stepforge.pipelines.scoring.best_of_n import any_right, ballot, best, choices, curves, majority, weighted
from stepforge.pipelines.scoring.calibration import calibration_figures, ece, fitted
from stepforge.pipelines.scoring.cases import NONE, Case, cases_on, file_cases
from stepforge.pipelines.scoring.first_errors import best_threshold, first_below, first_errors, step_aucs
from stepforge.pipelines.scoring.probes import altered, confident, padded, probe_all, restated
from stepforge.pipelines.scoring.score import ScoreRequest, score
from stepforge.schemas.errors import BadInput

GSM8K_ERRONEOUS, GSM8K_CLEAN = 207, 193
"""Solutions of ProcessBench's GSM8K subset (arXiv 2412.06559v4, table 2)."""
PUBLISHED = [
    # model, exact of the erroneous, left alone of the clean, and the three figures of table 5 (F1: table 3)
    ("RLHFlow-PRM-Mistral-8B", 70, 191, "33.8", "99.0", "50.4"),
    ("RLHFlow-PRM-Deepseek-8B", 50, 190, "24.2", "98.4", "38.8"),
    ("Skywork-PRM-7B", 128, 160, "61.8", "82.9", "70.8"),
    ("Qwen2.5-Math-7B-PRM800K", 110, 184, "53.1", "95.3", "68.2"),
]


def _recorded(path: Path, exact: int, left: int) -> Path:
    """Write scores of which so many are exact at the threshold 0.5; the others are wrong in each possible way."""
    rows = []
    for i in range(GSM8K_ERRONEOUS):
        scores = [0.9, 0.8, 0.2, 0.1] if i < exact else [[0.9, 0.2, 0.1, 0.9], [0.9, 0.9, 0.6, 0.2], [0.9] * 4][i % 3]
        rows.append({"id": f"gsm8k-{i}", "label": 2, "scores": scores})
    for i in range(GSM8K_CLEAN):
        rows.append({"id": f"gsm8k-c{i}", "label": -1, "scores": [0.9, 0.7] if i < left else [0.9, 0.4]})
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


@pytest.mark.parametrize(("model", "exact", "left", "error_acc", "correct_acc", "f1"), PUBLISHED)
def test_published_figures_come_out_of_recorded_scores_to_the_last_digit(
    model: str, exact: int, left: int, error_acc: str, correct_acc: str, f1: str, tmp_path: Path
) -> None:
    path = _recorded(tmp_path / "scores.jsonl", exact, left)
    words = ("score", path, "--on", path, "--threshold", "0.5")
    (subset,) = json.loads(invoked(*words, "--json")[1])["first_errors"]["subsets"]
    assert (subset["subset"], subset["erroneous"], subset["clean"]) == ("gsm8k", GSM8K_ERRONEOUS, GSM8K_CLEAN)
    assert [f"{subset[k]:.1f}" for k in ("error_accuracy", "correct_accuracy", "f1")] == [error_acc, correct_acc, f1]
    _, text = invoked(*words)
    assert error_acc in text and f"{f1} (" in text, model


def test_the_threshold_is_the_best_on_gsm8k_and_holds_for_the_others() -> None:
    cases = [
        Case(id="g1", subset="gsm8k", label=1, scores=(0.9, 0.5, 0.9)),
        Case(id="g2", subset="gsm8k", label=NONE, scores=(0.8, 0.7)),
        Case(id="m1", subset="math", label=0, scores=(0.65, 0.1)),
        Case(id="m2", subset="math", label=NONE, scores=(0.55, 0.9)),
    ]
    found = first_errors(cases)
    assert found.threshold is not None and 0.5 < found.threshold <= 0.7
    assert found.chosen_on == "highest F1 on gsm8k"
    by = {s.subset: s for s in found.subsets}
    assert by["gsm8k"].f1 == 100
    assert (by["math"].error_accuracy, by["math"].correct_accuracy) == (
        100 * float(found.threshold > 0.65),
        100 * float(found.threshold <= 0.55),
    )
    assert found.average_f1 == (100 + (by["math"].f1 or 0)) / 2


def test_the_best_threshold_is_that_of_a_search_over_all() -> None:
    rng = np.random.default_rng(1)
    cases = [
        Case(id=str(i), label=int(rng.integers(-1, 3)), scores=tuple(rng.random(3).round(2).tolist()))
        for i in range(60)
    ]

    def f1(threshold: float) -> float:
        hits = [first_below(c.scores, threshold) == c.label for c in cases]
        wrong = [h for h, c in zip(hits, cases, strict=True) if c.label != NONE]
        clean = [h for h, c in zip(hits, cases, strict=True) if c.label == NONE]
        a, b = sum(wrong) / len(wrong), sum(clean) / len(clean)
        return 2 * a * b / (a + b) if a + b else 0.0

    assert f1(best_threshold(cases)) == pytest.approx(max(f1(t / 1000) for t in range(1001)))


def test_what_is_not_scored_or_abstains_is_never_exact() -> None:
    cases = [Case(id="a", label=NONE), Case(id="b", label=NONE, scores=(0.9,)), Case(id="c", label=0, scores=(0.1,))]
    assert first_errors(cases, 0.5).subsets[0].correct_accuracy == 50
    spoken = [
        Case(id="a", label=NONE, prediction=NONE, abstained=True),
        Case(id="b", label=NONE, prediction=NONE),
        Case(id="c", label=2, prediction=2),
    ]
    found = first_errors(spoken)
    assert (found.threshold, found.subsets[0].correct_accuracy, found.subsets[0].error_accuracy) == (None, 50, 100)


def test_step_aucs_leave_out_what_comes_after_the_error() -> None:
    cases = [
        Case(id="1", problem="p", label=1, scores=(0.9, 0.2, 1.0)),
        Case(id="2", problem="p", label=NONE, scores=(0.1, 0.8)),
        Case(id="3", problem="q", label=NONE, scores=(0.5,)),
    ]
    assert step_aucs(cases) == [pytest.approx(2 / 3)]


def test_a_calibration_that_was_planted_is_found_and_measured_on_the_other_half() -> None:
    rng = np.random.default_rng(2)
    cases = []
    for i in range(4000):
        truth = rng.random()
        score = 1 / (1 + np.exp(-2 * np.log(truth / (1 - truth)) - 1))  # twice as sure, and shifted
        cases.append(Case(id=str(i), problem=str(i), label=NONE if rng.random() < truth else 0, scores=(float(score),)))
    found = calibration_figures(cases)
    assert found is not None
    assert found.calibration.slope == pytest.approx(0.5, abs=0.06)
    assert found.calibration.intercept == pytest.approx(-0.5, abs=0.12)
    assert found.ece > 0.1 > 3 * found.ece_calibrated
    assert 1500 < found.steps < 2500
    assert ece(np.array([0.05, 0.05, 0.95]), np.array([0.0, 1.0, 1.0])) == pytest.approx((2 * 0.45 + 0.05) / 3)
    separated = fitted(np.array([0.1, 0.2, 0.8, 0.9] * 10), np.array([0.0, 0, 1, 1] * 10))
    assert np.isfinite(separated.slope)


def test_best_of_n_shows_where_more_solutions_end_in_fewer_right_ones() -> None:
    cases = [
        Case(
            id=f"{p}-{i}",
            problem=f"problem {p}",
            label=NONE,
            final_answer_correct=i % 2 == 0,
            answer="1" if i % 2 == 0 else str(i),
            scores=(0.5 + i / 200 if i != 63 else 0.99,),  # the highest score is that of a wrong solution
        )
        for p in range(4)
        for i in range(64)
    ]
    found = {curve.chosen_by: curve for curve in curves(cases)}
    assert list(found["any right"].right) == [1, 2, 4, 8, 16, 32, 64]
    assert found["best, min"].right[64] == 0 and found["best, min"].over_optimized
    assert found["any right"].right[64] == 1 and not found["any right"].over_optimized
    assert found["majority"].right[64] == 1
    assert curves(cases[:1]) == []
    unnamed = {curve.chosen_by: curve for curve in curves([c.model_copy(update={"answer": None}) for c in cases])}
    assert list(unnamed) == ["any right", "best, min", "best, last"], "nobody can vote without answers"
    assert unnamed["any right"].right[64] == 1
    assert unnamed["best, last"].right[1] == pytest.approx(0.5, abs=0.1)
    few = [case.model_copy(update={"problem": "q", "id": f"q{case.id}"}) for case in cases[:16]]
    assert list(curves([*cases[:8], *few, *cases[64:72]])[0].right) == [1, 2, 4, 8], "one with many sets no size"


def test_cases_that_are_not_there() -> None:
    with pytest.raises(BadInput, match="no such file or folder; give a run folder, a JSONL file"):
        cases_on("nowhere.jsonl")


def test_choosing_among_solutions() -> None:
    votes = ballot(["2", "2", "3"], [True, True, False])
    everything = choices(3, 3, 10, "p")
    assert majority(votes, everything) == 1.0
    assert weighted(votes, everything, np.array([0.1, 0.1, 0.9])) == 0.0
    assert best(votes, everything, np.array([0.1, 0.9, 0.9])) == 0.5  # a tie of a right and a wrong one
    assert any_right(votes, everything) == 1.0
    pairs = choices(3, 2, 40, "p")
    assert pairs.shape == (40, 2)
    assert all(len(set(pair)) == 2 for pair in pairs.tolist())


def _believing(step: str) -> float:
    """Score a step by what it says: ``wrong`` is low, unless it claims to be right."""
    if "certainly" in step:
        return 0.95
    return 0.1 if "wrong" in step or "8" in step else 0.2 if "Step" in step else 0.9


def test_probes_tell_a_reward_model_that_believes_claims() -> None:
    wrong = Case(id="w", problem="q", steps=("a 1", "wrong 2", "c"), label=1, scores=(0.9, 0.1, 0.9))
    clean = Case(id="c", problem="q", steps=("a 7",), label=NONE, scores=(0.9,))
    found = asyncio.run(probe_all(KnownScorer(_believing), [wrong, clean], 0.5))
    by = {p.probe: p for p in found.probes}
    assert (by["confident"].escaped, by["padded"].escaped, by["restated"].escaped) == (1, 0, 0)
    assert (by["numbered"].flagged, by["padded"].flagged) == (1, 0)
    assert by["confident"].mean_shift == pytest.approx((0.85 + 0.05) / 2)
    assert (found.altered.steps, found.altered.caught) == (1, 1)


def test_probes_keep_track_of_the_watched_step() -> None:
    steps = ("one", "two is 2", "three")
    for probe in (padded, restated, confident):
        found = probe(steps, 1)
        assert found is not None and "two is 2" in found.steps[found.watched]
    assert restated(steps, 0) is None
    changed = altered(Case(id="x", steps=steps, label=NONE))
    assert changed is not None and changed.steps[changed.watched] == "two is 3"


def test_the_labeler_of_a_run_is_scored_by_its_own_verdicts(tmp_path: Path) -> None:
    rows = scripted_rows([ChangePoint()], 6)
    curated_run(tmp_path / "run", rows, [])
    found = score(ScoreRequest(model="change_point", on=str(tmp_path / "run")), print)
    assert found.first_errors.threshold is None
    assert found.cases == sum(len(row.solutions) for row in rows)
    verdicts = [s.verdict for row in rows for s in row.solutions]
    cases = cases_on(str(tmp_path / "run"), "change_point")
    assert [c.prediction for c in cases] == [NONE if v.first_error is None else v.first_error for v in verdicts]
    assert found.best_of_n == (), "a labeler that knows the answer chooses no best of N"
    with pytest.raises(BadInput, match="no verdict of 'nobody'"):
        cases_on(str(tmp_path / "run"), "nobody")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "a", "label": -2}', "label"),
        ('{"id": "a", "label": 0, "steps": ["x", "y"], "scores": [0.1]}', "1 scores for 2 steps"),
        ('{"id": "a", "label": 2, "steps": ["x", "y"]}', "label 2 is no step"),
        ('{"id": "a", "label": 1, "steps": ["x", "y"], "prediction": -2}', "prediction -2 is no step"),
    ],
)
def test_a_bad_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(BadInput, match=message):
        file_cases(tmp_path / "x.jsonl")


def test_recorded_scores_must_be_there_for_every_case(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"id": "a", "label": 0}\n{"id": "b", "label": -1}\n')
    (tmp_path / "scores.jsonl").write_text('{"id": "a", "scores": [0.5]}\n')
    request = ScoreRequest(model=str(tmp_path / "scores.jsonl"), on=str(tmp_path / "cases.jsonl"))
    with pytest.raises(BadInput, match="no row with the id 'b'"):
        score(request, print)
    (tmp_path / "cases.jsonl").write_text('{"id": "a", "label": 0}\n{"id": "a", "label": -1}\n')
    with pytest.raises(BadInput, match="'a' is the id of several cases"):
        score(request, print)


def test_models_are_named_by_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen2ForProcessRewardModel"]}')
    assert named_scorer(str(tmp_path)).kind == "qwen_prm"
    assert named_scorer("peiyi9979/math-shepherd-mistral-7b-prm").kind == "math_shepherd_prm"
    assert named_scorer("Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B").kind == "value_head"
    assert named_scorer("some/thing", "rlhflow").kind == "rlhflow"
    assert named_scorer("embedded").kind == "surprise"
    (tmp_path / "s.toml").write_text('[scorer]\nkind = "generative"\nmodel = "x/y"\nright = "A"\n')
    assert named_scorer(str(tmp_path / "s.toml")).right == "A"
    with pytest.raises(BadInput, match="--shape"):
        named_scorer("some/thing")
    with pytest.raises(BadInput, match=r"some/thing: --shape: .*'unheard_of'.* 'qwen_prm'"):
        named_scorer("some/thing", "unheard_of")


@pytest.mark.parametrize("config", ["[]", "{", "{}", '{"architectures": []}', '{"architectures": [null]}', "7"])
def test_a_folder_without_a_models_configuration_has_no_known_shape(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(BadInput, match="the shape of this model is unknown"):
        named_scorer(str(tmp_path))
