"""Figures against numbers worked by hand."""

from math import isclose

from fakes import a_problem
from judgments import TRUTH, judged

from stepforge.pipelines.reports.label_accuracy import accuracies, auc, harmonic_mean, judge_problem, step_auc
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Verdict
from stepforge.schemas.rollout import PolicyIdentity, Rollout, Step


def test_accuracies_by_hand() -> None:
    figures = accuracies(
        [
            judged(1, 1),
            judged(2, 1),
            judged(None, 1, abstained=True),
            judged(None, 0, correct=True),
            judged(None, None, correct=True),
            judged(2, None, correct=True),
        ]
    )
    assert figures["first_error_accuracy"] == 1 / 3
    assert figures["correct_solution_accuracy"] == 1 / 2
    assert isclose(figures["processbench_f1"], 2 * (1 / 3) * 0.5 / (1 / 3 + 0.5))
    assert figures["first_error_within_one"] == 2 / 3
    assert figures["first_error_accuracy_all_erroneous"] == 1 / 4
    assert isclose(figures["processbench_f1_all_erroneous"], 2 * 0.25 * 0.5 / 0.75)
    assert figures["right_answer_wrong_step_recall"] == 0
    assert figures["abstained_share"] == 1 / 6
    assert (figures["wrong_solutions"], figures["correct_solutions"]) == (3, 2)
    assert figures["right_answer_through_wrong_step"] == 1


def test_nothing_to_measure_is_none_and_not_zero() -> None:
    assert accuracies([])["processbench_f1"] is None
    assert harmonic_mean(0.0, 0.0) == 0.0


def test_auc_by_hand() -> None:
    assert auc([0.9, 0.5], [0.5, 0.1]) == (1 + 1 + 0.5 + 1) / 4
    assert auc([], [0.1]) is None


def labeled(values: list[tuple[int, int] | None], first_error: int | None, lines: list[str]) -> LabeledProblem:
    rollout = Rollout(
        id="r",
        start=None,
        steps=tuple(Step(text=f"{line}\n") for line in lines),
        answer="9",
        outcome="wrong",
        finish="stop",
        tokens=3,
    )
    labels = tuple(None if v is None else StepLabel(successes=v[0], failures=v[1]) for v in values)
    return LabeledProblem(
        problem=a_problem(answer="3").model_copy(update={"truth": TRUTH}),
        solutions=(
            LabeledSolution(rollout=rollout, labels=labels, verdict=Verdict(labeler="x", first_error=first_error)),
        ),
        evidence=(),
        policy=PolicyIdentity(
            model="m",
            digest="",
            engine="",
            engine_version="",
            temperature=1,
            top_p=1,
            max_tokens=1,
            prompt="{question}",
        ),
        costs=(),
    )


def test_step_auc_uses_measured_values_before_the_first_error() -> None:
    # Right: A (0.25), wrong: B stated as 5 (before the labeler's error, 0.75) and the answer (behind it, 0).
    problem = labeled([(1, 3), (3, 1), None], 2, ["A = 1", "B = 5", "Answer: 9"])
    assert step_auc(problem, "x") == 0.5
    assert step_auc(problem, "somebody else") is None
    assert [j.exact for j in judge_problem(problem)["x"]] == [False]


def test_problems_without_truth_are_not_measured() -> None:
    problem = labeled([None], None, ["A = 1"])
    bare = problem.model_copy(update={"problem": problem.problem.model_copy(update={"truth": None})})
    assert not judge_problem(bare)
