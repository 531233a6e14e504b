"""The label audit and the figures of labels against counts worked by hand."""

from math import isclose

from fakes import IDENTITY, a_problem, a_solution, verdict_of
from judgments import TRUTH, judged

from stepforge.labelers.cascade import FOR_A_PERSON
from stepforge.labelers.consensus import agreed
from stepforge.pipelines.reports.label_accuracy import (
    auc,
    counted,
    harmonic_mean,
    judge_problem,
    label_figures,
    step_auc,
    truths_of,
)
from stepforge.pipelines.reports.label_audit import Audit, labeled_steps
from stepforge.pipelines.reports.report import _kind_of_reason
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Verdict
from stepforge.schemas.rollout import Outcome, Step


def solution(name: str, *lines: str, outcome: Outcome, verdict: Verdict) -> LabeledSolution:
    steps = tuple(Step(text=f"{line}\n") for line in lines)
    rollout = a_solution(name, "", outcome).model_copy(update={"steps": steps, "answer": "2"})
    return LabeledSolution(rollout=rollout, labels=(None,) * len(lines), verdict=verdict)


def row(*solutions: LabeledSolution, truth: bool = True) -> LabeledProblem:
    known = {"source": "s", "domain": "d", "difficulty": 3, "truth": TRUTH if truth else None}
    problem = a_problem(answer="2").model_copy(update=known)
    return LabeledProblem(problem=problem, solutions=solutions, evidence=(), policy=IDENTITY, costs=())


def test_steps_are_counted_as_they_are_exported() -> None:
    audited = row(
        # True classes: right, wrong, wrong. Named too late: one wrong step is labeled right.
        solution("a", "A = 1", "B = 3", "Answer: 3", outcome="wrong", verdict=verdict_of("x", 2)),
        # True: all right. A right step is labeled wrong; what is behind it is not exported.
        solution("b", "A = 1", "B = 2", "Answer: 2", outcome="correct", verdict=verdict_of("x", 1)),
        # True: right, wrong, wrong, and named exactly.
        solution("c", "A = 1", "B = 5", "Answer: 5", outcome="wrong", verdict=verdict_of("x", 1)),
        solution("d", "A = 1", "B = 2", "Answer: 2", outcome="correct", verdict=verdict_of("x")),
        solution("e", "A = 4", "B = 2", "Answer: 2", outcome="correct", verdict=verdict_of("x", abstained=True)),
    )
    audit = Audit()
    audit.add(audited, truths_of(audited), ["domain: d"])
    figures = audit.figures()
    assert list(figures) == ["all", "domain: d"]
    whole = figures["all"]
    assert whole == figures["domain: d"]
    assert (whole.problems, whole.solutions, whole.abstained_share) == (1, 5, 1 / 5)
    # a: A, B; b: A; c: A; d: all three.
    assert whole.steps_labeled_right == 2 + 1 + 1 + 3
    assert isclose(whole.of_these_wrong.share, 1 / 7, abs_tol=1e-5)
    assert whole.steps_labeled_wrong == 3
    assert isclose(whole.of_these_right.share, 1 / 3, abs_tol=1e-5)
    assert isclose(whole.solutions_labeled_exactly.share, 2 / 4)
    assert whole.of_these_wrong.low < 1 / 7 < whole.of_these_wrong.high


def test_problems_without_a_truth_count_nowhere() -> None:
    audit = Audit()
    untold = row(solution("a", "A = 1", outcome="wrong", verdict=verdict_of("x", 0)), truth=False)
    audit.add(untold, truths_of(untold), [])
    assert audit.figures() == {}
    assert not judge_problem(untold)


def test_a_reason_to_abstain_is_counted_without_what_each_labeler_said() -> None:
    apart = agreed("consensus", [verdict_of("x", 1), verdict_of("y", 2)])
    assert apart.reason == "labelers disagree: x step 2, y step 3"
    for reason, kind in ((apart.reason, "labelers disagree"), (FOR_A_PERSON, FOR_A_PERSON)):
        assert _kind_of_reason(Verdict(labeler="z", first_error=None, abstained=True, reason=reason)) == kind


def test_steps_that_cannot_be_judged_are_left_out() -> None:
    truth = Verdict(labeler="oracle", first_error=1, classes=("unknown", "wrong", "right"))
    assert [tuple(s) for s in labeled_steps(verdict_of("x", 2), truth)] == [(True, False), (False, True)]


def test_accuracies_by_hand() -> None:
    found = [
        judged(1, 1),
        judged(2, 1),
        judged(None, 1, abstained=True),
        judged(None, 0, correct=True),
        judged(None, None, correct=True),
        judged(2, None, correct=True),
        judged(1, 1, correct=True),
    ]
    figures = label_figures(counted(found)).model_dump()
    assert figures["first_error_accuracy"] == 1 / 3
    assert figures["correct_solution_accuracy"] == 1 / 2
    assert isclose(figures["processbench_f1"], 2 * (1 / 3) * 0.5 / (1 / 3 + 0.5))
    assert figures["first_error_within_one"] == 2 / 3
    assert figures["first_error_accuracy_all_erroneous"] == 2 / 5
    assert isclose(figures["processbench_f1_all_erroneous"], 2 * 0.4 * 0.5 / 0.9)
    assert figures["right_answer_wrong_step_recall"] == 1 / 2
    assert figures["right_answer_wrong_step_precision"] == 1 / 2
    assert figures["first_fatal_accuracy"] == 2 / 5
    assert figures["abstained_share"] == 1 / 7
    assert (figures["wrong_solutions"], figures["correct_solutions"]) == (3, 2)
    assert figures["right_answer_through_wrong_step"] == 2


def test_nothing_to_measure_is_none_and_not_zero() -> None:
    assert label_figures(counted([])).processbench_f1 is None
    assert harmonic_mean(0.0, 0.0) == 0.0


def test_auc_by_hand() -> None:
    assert auc([0.9, 0.5], [0.5, 0.1]) == (1 + 1 + 0.5 + 1) / 4
    assert auc([], [0.1]) is None


def test_step_auc_uses_measured_values_before_the_first_error() -> None:
    # Right: A (0.25), wrong: B stated as 5 (before the labeler's error, 0.75) and the answer (behind it, 0).
    one = solution("a", "A = 1", "B = 5", "Answer: 9", outcome="wrong", verdict=verdict_of("x", 2))
    labels = (StepLabel(successes=1, failures=3), StepLabel(successes=3, failures=1), None)
    problem = row(one.model_copy(update={"labels": labels}))
    assert step_auc(problem, "x") == 0.5
    assert step_auc(problem, "somebody else") is None
    assert [j.exact for j in judge_problem(problem)["x"]] == [False]
