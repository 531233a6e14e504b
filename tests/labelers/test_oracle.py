"""The oracle judges every family's own solutions as right, and sees every slip."""

import pytest
from pens import pens, steps

from benchmarks.embedded_policy.slips import Piece, solution
from stepforge.generators.draft import Transcript
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family
from stepforge.grading.exact import evaluate
from stepforge.labelers.oracle import first_fatal, judge, oracle_verdict
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import rng_of

PROBLEM = pens("lines")


def rollout(*lines: str) -> Rollout:
    return Rollout(id="r", start=None, steps=steps(*lines), answer=None, outcome="wrong", finish="stop", tokens=1)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_reference_solutions_are_right_in_every_step(family: type[Family]) -> None:
    part = family(levels=tuple(range(1, family.max_level + 1)))
    for index in range(60):
        problem = part.item(5, index)
        lines = (problem.reference_solution or "").split("\n")
        assert set(judge(problem, steps(*lines))) == {"right"}, problem


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_every_slip_is_seen_where_it_is_and_repairs_as_repairs(family: type[Family]) -> None:
    part = family(levels=(2, 3, 4))
    for index in range(60):
        draft, _ = part.draw(9, index)
        problem = part.item(9, index)
        pieces = solution(draft, rng_of(index), slip_share=1.0, repair_share=0.5)
        slip = _slip_line(pieces)
        verdict = oracle_verdict(problem, rollout(*"".join(p.text for p in pieces).split("\n")))
        assert verdict.first_error == slip
        repaired = "Wait: " in "".join(p.text for p in pieces)
        assert verdict.classes is not None
        assert verdict.classes[slip] == ("repaired" if repaired else "wrong")


def _slip_line(pieces: list[Piece]) -> int:
    before = "".join(piece.text for piece in pieces[: [p.learn for p in pieces].index(False)])
    return before.count("\n")


def test_classes() -> None:
    assert judge(PROBLEM, steps("Ann = 4", "Bob = 2 * 4 = 9", "Cleo = 9 + 5 = 14", "Answer: 14")) == (
        "right",
        "wrong",
        "wrong",
        "wrong",
    )
    assert judge(PROBLEM, steps("Bob = 9", "Wait: Bob = 2 * 4 = 8", "Cleo = 8 + 5 = 13", "Answer: 13")) == (
        "repaired",
        "right",
        "right",
        "right",
    )


@pytest.mark.parametrize("line", ["Bob = 3 * 3 = 8", "Dan = 8", "Bob = 2 * = 8", "Bob = __import__('os') = 8", "Bob ="])
def test_a_false_equation_an_unknown_quantity_and_garbage_are_wrong(line: str) -> None:
    assert judge(PROBLEM, steps(line)) == ("wrong",)


def test_text_without_a_claim_is_unknown_and_no_error() -> None:
    verdict = oracle_verdict(PROBLEM, rollout("Let me think.", "Ann = 4", "Answer: 13"))
    assert verdict.classes == ("unknown", "right", "right")
    assert verdict.finds_no_error


def test_a_line_belongs_to_the_step_in_which_it_ends() -> None:
    cut = (Step(text="Ann = 4\nBob = 2"), Step(text=" * 4 = 9\nCleo"), Step(text=" = 13\nAnswer: 13"))
    assert judge(PROBLEM, cut) == ("right", "wrong", "right")


def test_first_wrong_and_first_fatal_differ_only_by_repairs() -> None:
    verdict = oracle_verdict(PROBLEM, rollout("Ann = 5", "Wait: Ann = 4", "Bob = 2 * 4 = 9", "Answer: 9"))
    assert verdict.first_error == 0
    assert first_fatal(verdict) == 2


def test_a_problem_without_truth_is_an_abstention() -> None:
    assert oracle_verdict(PROBLEM.model_copy(update={"truth": None}), rollout("Ann = 5")).abstained


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_truth_follows_the_procedure(family: type[Family]) -> None:
    part = family()
    for index in range(50):
        draft, _ = part.draw(2, index)
        transcript = Transcript()
        answer = draft.work(transcript)
        problem = part.item(2, index)
        assert problem.answer == str(answer)
        assert problem.truth is not None
        assert [q for q in problem.truth.quantities if q.needed] == transcript.quantities
        assert all(evaluate(q.value) == evaluate(q.expression or q.value) for q in problem.truth.quantities)
