"""Votes that weigh, agreement that is calibrated, and references that the solutions contradict."""

import pytest
from fakes import a_problem, a_solution, solved
from pydantic import ValidationError

from stepforge.filters import Corpus, Dropped, SelfConsistency, WrongReference
from stepforge.grading.votes import vote_shares
from stepforge.schemas.problem import KeptColumn
from stepforge.schemas.rollout import SUPPLIED, Rollout, SolvedProblem, Step
from stepforge.schemas.verifier import PythonVerifier

CORPUS = Corpus()


def saying(answer: str, logprob: float | None = None, reference: str | None = "1") -> Rollout:
    outcome = "correct" if answer == reference else "wrong"
    return a_solution(answer, "ab", "wrong").model_copy(
        update={"answer": answer, "mean_logprob": logprob, "outcome": outcome}
    )


def row_of(*rollouts: Rollout, reference: str | None = "1") -> SolvedProblem:
    return solved(*rollouts, problem=a_problem(answer=reference))


def test_confident_votes_weigh_more() -> None:
    rollouts = [saying("7", -0.01), saying("7", -0.02), *(saying("8", -0.4) for _ in range(3))]
    assert next(iter(vote_shares(rollouts, "integer"))) == "8"
    assert next(iter(vote_shares(rollouts, "integer", 8.0))) == "7"
    assert vote_shares([*rollouts, saying("8")], "integer", 8.0)["8"] == pytest.approx(4 / 6)  # one is unknown


def test_a_solution_that_states_a_false_equation_has_no_vote() -> None:
    slips = [saying("8").model_copy(update={"steps": (Step(text="3 * 4 = 11\n"),)}) for _ in range(3)]
    kept = SelfConsistency(min_answers=2)(row_of(*slips, saying("7"), saying("7"), reference=None), CORPUS)
    assert isinstance(kept, SolvedProblem)
    assert [r.outcome for r in kept.rollouts] == ["wrong", "wrong", "wrong", "correct", "correct"]
    assert isinstance(SelfConsistency(min_answers=3)(row_of(*slips, *AGREED[:2], reference=None), CORPUS), Dropped)


def test_weights_decide_the_reference() -> None:
    row = row_of(saying("7", -0.01), saying("7", -0.02), *(saying("8", -0.4) for _ in range(3)), reference=None)
    kept = SelfConsistency(sharpness=8.0, min_agreement=0.8)(row, CORPUS)
    assert isinstance(kept, SolvedProblem)
    assert kept.problem.answer == "7"
    assert [r.outcome for r in kept.rollouts] == ["correct", "correct", "wrong", "wrong", "wrong"]


@pytest.mark.parametrize(
    ("least", "reason"),
    [(0.69, None), (0.71, "no majority answer")],  # a share of 0.6 lies half-way between 0.5 and 0.7
)
def test_agreement_is_read_through_its_calibration(least: float, reason: str | None) -> None:
    row = row_of(*(saying("7") for _ in range(3)), saying("8"), saying("9"), reference=None)
    kept = SelfConsistency(min_agreement=least, calibration=((0.5, 0.6), (0.7, 0.8), (1.0, 1.0)))(row, CORPUS)
    assert (kept.reason if isinstance(kept, Dropped) else None) == reason


def test_a_calibration_counts_where_all_agree() -> None:
    row = row_of(*(saying("7", -i / 7) for i in range(13)), reference=None)
    kept = SelfConsistency(sharpness=8.0, min_agreement=0.95, calibration=((0.5, 0.5), (1.0, 0.9)))(row, CORPUS)
    assert kept == Dropped(reason="no majority answer")


@pytest.mark.parametrize(("least", "reason"), [(0.66, None), (0.67, "no majority answer")])
def test_two_thirds_are_a_majority_of_at_most_two_thirds(least: float, reason: str | None) -> None:
    row = row_of(*(saying("7") for _ in range(6)), *(saying("8") for _ in range(3)), reference=None)
    kept = SelfConsistency(min_agreement=least)(row, CORPUS)
    assert (kept.reason if isinstance(kept, Dropped) else None) == reason


def test_a_calibration_that_falls_is_refused() -> None:
    with pytest.raises(ValidationError, match="must rise"):
        SelfConsistency(calibration=((0.5, 0.9), (0.6, 0.8)))


AGREED = [saying("9", -0.1) for _ in range(12)]
REFUTED = [rollout.model_copy(update={"steps": (Step(text="2 + 2 = 5\n"), *rollout.steps)}) for rollout in AGREED]
MISTAKEN = [
    saying(answer, -0.1).model_copy(update={"steps": (Step(text=f"a = 5 - 4 = {answer}\n"),)}) for answer in "34567"
]


@pytest.mark.parametrize(
    ("rollouts", "contradicted"),
    [
        (AGREED, "9"),
        ([*AGREED, saying("1", -0.1)], "9"),
        ([*AGREED, *(saying("1", -0.1) for _ in range(2))], None),  # a sixth as many say what the reference says
        ([*AGREED, *MISTAKEN[:2]], None),
        ([*AGREED[:2], *MISTAKEN[2:], *REFUTED], None),  # calculated right, these say what the reference says
        (AGREED[:11], None),  # a few solutions agree on a mistake too often
        ([*AGREED[:3], *REFUTED], None),
        (REFUTED, None),
        ([*AGREED[:4], *REFUTED], "9"),
        ([*AGREED[:6], *(saying("1", -0.1) for _ in range(3)), *REFUTED], None),
        ([*AGREED[:6], *(r.model_copy(update={"answer": "1"}) for r in REFUTED)], "9"),
        ([*AGREED[:6], *(saying(str(i), -0.1) for i in range(20, 26))], None),
        ([saying("1", -0.1) for _ in range(12)], None),
    ],
)
def test_confident_agreement_contradicts_a_reference(rollouts: list[Rollout], contradicted: str | None) -> None:
    assert WrongReference().contradiction(row_of(*rollouts)) == contradicted


def test_a_verifier_decides_whatever_the_solutions_say() -> None:
    row = row_of(*AGREED)
    verified = row.problem.model_copy(update={"verifier": PythonVerifier(function="rules:rule")})
    assert WrongReference().contradiction(row) == "9"
    assert WrongReference().contradiction(row.model_copy(update={"problem": verified})) is None


def test_the_policys_own_solutions_are_judged_by_a_new_reference_too() -> None:
    """They are evidence of what the question is worth, and the pass rate of a problem with supplied solutions."""
    row, own = row_of(saying("9")), tuple(saying("9") for _ in range(12))
    nobody = row.policy.model_copy(update={"model": SUPPLIED})
    cut_off = saying("1").model_copy(update={"answer": None, "outcome": "undetermined"})
    supplied = row.model_copy(update={"own": own, "searched": (saying("1"), cut_off), "policy": nobody})
    settled = WrongReference(then="settle", min_solutions=12)(supplied, CORPUS)
    assert isinstance(settled, SolvedProblem)
    assert (supplied.pass_rate, settled.pass_rate) == (0, 1)
    assert [r.outcome for r in (*settled.rollouts, *settled.searched)] == ["correct", "wrong", "undetermined"]


def test_a_wrong_reference_is_dropped_settled_anew_or_marked() -> None:
    row = row_of(*AGREED, a_solution("cut", "a", "undetermined"))
    assert WrongReference()(row, CORPUS) == Dropped(reason="solutions agree on another answer than the reference")
    settled = WrongReference(then="settle")(row, CORPUS)
    assert isinstance(settled, SolvedProblem)
    assert settled.problem.answer == "9"
    assert settled.problem.kept == (KeptColumn(name="reference_as_given", value="1"),)
    assert [r.outcome for r in settled.rollouts] == ["correct"] * 12 + ["undetermined"]
    marked = WrongReference(then="mark")(row, CORPUS)
    assert isinstance(marked, SolvedProblem)
    assert (marked.problem.answer, marked.rollouts) == ("1", row.rollouts)
    assert marked.problem.kept == (KeptColumn(name="majority_answer", value="9"),)
