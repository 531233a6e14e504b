"""Filters keep or drop with a reason, and nothing is lost on the way."""

from itertools import zip_longest

import pytest
from fakes import a_problem, a_solution, solved, verdict_of
from pydantic import ValidationError

from stepforge.filters import (
    Consistent,
    Corpus,
    Decided,
    Difficulty,
    Doubted,
    Dropped,
    Duplicates,
    Language,
    SelfConsistency,
    Shape,
    question_key,
)
from stepforge.grading.last_resort import OR_RATHER
from stepforge.grading.votes import equal_answers, voters
from stepforge.pipelines.run.stages import vet
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.rollout import SUPPLIED, Rollout, SolvedProblem, Step

CORPUS = Corpus()


def answering(name: str, answer: str | None, finish: str = "stop") -> Rollout:
    rollout = a_solution(name, "ab", "undetermined")
    return rollout.model_copy(update={"answer": answer, "finish": finish})


def labeled(*verdicts: tuple[Verdict, ...], scores: tuple[tuple[float, ...], ...] = ()) -> LabeledProblem:
    row = solved(*(a_solution(str(i), "abc", "wrong") for i in range(len(verdicts))))
    rollouts = [r.model_copy(update={"scores": s}) for r, s in zip_longest(row.rollouts, scores, fillvalue=())]
    solutions = tuple(
        LabeledSolution(rollout=rollout, labels=(None,) * 3, verdict=first, others=tuple(others))
        for rollout, (first, *others) in zip(rollouts, verdicts, strict=True)
    )
    return LabeledProblem(problem=row.problem, solutions=solutions, evidence=(), policy=row.policy, costs=())


def test_the_majority_becomes_the_reference_and_outcomes_follow() -> None:
    row = solved(
        *(answering(str(i), answer) for i, answer in enumerate(["1/2", "2/4", "0.5", "3"])),
        answering("cut", None, "length"),
        problem=a_problem(answer=None),
    )
    kept = SelfConsistency(min_agreement=0.6)(row, CORPUS)
    assert isinstance(kept, SolvedProblem)
    assert kept.problem.answer == "1/2"
    assert [r.outcome for r in kept.rollouts] == ["correct", "correct", "correct", "wrong", "undetermined"]


def test_without_a_majority_there_is_no_reference() -> None:
    row = solved(*(answering(str(i), str(i)) for i in range(4)), problem=a_problem(answer=None))
    assert SelfConsistency()(row, CORPUS) == Dropped(reason="no majority answer")
    row = solved(answering("1", "7"), answering("2", None, "error"), problem=a_problem(answer=None))
    assert SelfConsistency()(row, CORPUS) == Dropped(reason="too few answers for a majority")


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [("1/2", r"\frac{1}{2}", True), ("18", "18 dollars", True), ("(1,2)", "12", False), ("AB", "BA", False)],
)
def test_equal_answers_are_one_vote(one: str, other: str, equal: bool) -> None:
    assert equal_answers([one, one, other], "math") == {one: one, other: one if equal else other}


def test_what_the_grader_leaves_open_is_undetermined_beside_a_majority() -> None:
    answers = [r"\frac{1}{2}", r"\frac{1}{2}", "1/2", "0.5", "2", "half of it", r"\int_0^1 x\,dx"]
    row = solved(
        *(answering(str(i), a) for i, a in enumerate(answers)),
        problem=a_problem(answer=None).model_copy(update={"answer_kind": "math"}),
    )
    kept = SelfConsistency(min_agreement=0.5)(row, CORPUS)
    assert isinstance(kept, SolvedProblem)
    assert kept.problem.answer == r"\frac{1}{2}"
    assert [r.outcome for r in kept.rollouts] == ["correct"] * 4 + ["wrong"] + ["undetermined"] * 2


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [("ccww", None), ("wwww", "too hard"), ("cccc", "too easy"), ("uuuu", "no rollout with a verdict"), ("cuuw", None)],
)
def test_difficulty_counts_determined_outcomes_only(outcomes: str, expected: str | None) -> None:
    names = {"c": "correct", "w": "wrong", "u": "undetermined"}
    row = solved(*(a_solution(str(i), "a", names[o]) for i, o in enumerate(outcomes)))  # type: ignore[arg-type]
    result = Difficulty(min_pass_rate=0.25, max_pass_rate=0.75)(row, CORPUS)
    assert (result.reason if isinstance(result, Dropped) else None) == expected


def test_an_empty_band_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_pass_rate is above max_pass_rate"):
        Difficulty(min_pass_rate=0.9, max_pass_rate=0.1)


def test_duplicates_are_told_by_the_question_alone() -> None:
    assert question_key("What  is 2+2?\n") == question_key("what is 2+2?")
    assert question_key("What is 2+3?") != question_key("What is 2+2?")
    row = solved(a_solution("s", "a", "correct"), problem=a_problem("copy"))
    assert Duplicates()(row, Corpus(duplicate_of={"copy": "first"})) == Dropped(reason="duplicate question")
    assert Duplicates()(row, CORPUS) == row
    supplied = row.model_copy(update={"policy": row.policy.model_copy(update={"model": SUPPLIED})})
    assert Duplicates()(supplied, Corpus(duplicate_of={"copy": "first"})) == supplied


def test_a_sentence_that_names_several_values_has_no_vote() -> None:
    told = [answering("a", "36"), answering("b", f"36{OR_RATHER}3 days")]
    assert [rollout.id for rollout in voters(told)] == [told[0].id]


@pytest.mark.parametrize(
    ("rollout", "fault"),
    [
        (answering("a", "1", "error"), "engine error"),
        (answering("a", None, "length"), "truncated"),
        (answering("a", None), "no answer"),
        (a_solution("a", "abcdef", "wrong"), "too many steps"),
        (a_solution("a", "abc", "wrong"), None),
    ],
)
def test_shape_names_the_fault(rollout: Rollout, fault: str | None) -> None:
    result = Shape(max_steps=5)(solved(rollout), CORPUS)
    assert (result.reason if isinstance(result, Dropped) else None) == fault


def test_the_books_balance_and_the_first_filter_names_the_reason() -> None:
    rows = [solved(a_solution("s", "a", o), problem=a_problem(n)) for n, o in (("1", "correct"), ("2", "wrong"))]  # type: ignore[arg-type]
    sifted = vet(rows, [Difficulty(min_pass_rate=0.5), Duplicates()], Corpus(duplicate_of={"2": "1"}))
    assert len(sifted.kept) + len(sifted.rejected) == 2
    assert [(r.problem_id, r.filter, r.reason) for r in sifted.rejected] == [("2", "difficulty", "too hard")]
    assert SolvedProblem.model_validate_json(sifted.rejected[0].row) == rows[1]


def test_a_clean_bill_that_the_reward_model_doubts_is_withdrawn() -> None:
    fine, wrong = (verdict_of("l"),), (verdict_of("l", 0),)
    row = labeled(fine, fine, wrong, fine, scores=((0.9, 0.8), (0.9, 0.2), (0.1, 0.1), ()))
    kept = Doubted()(row)
    assert isinstance(kept, LabeledProblem)
    assert [s.verdict.abstained for s in kept.solutions] == [False, True, False, False]
    assert Doubted()(labeled(fine, scores=((0.9, 0.2),))) == Dropped(reason="the reward model doubts a step")


ENGLISH = "How many apples does Ann have left after she gives three of them to her brother?"


@pytest.mark.parametrize(
    ("question", "solution", "expected"),
    [
        (ENGLISH, ENGLISH, None),
        ("$x^2 = 3$", "x = 3\n", None),
        ("Wie viele Äpfel hat Anna noch, nachdem sie drei Äpfel an ihren Bruder gegeben hat?", ENGLISH, "question"),
        (ENGLISH, "\u56e0\u6b64\u82f9\u679c\u7684\u603b\u6570\u4e3a\u4e03\u4e2a\u3002", "solutions"),
    ],
)
def test_what_is_surely_in_another_language_is_dropped(question: str, solution: str, expected: str | None) -> None:
    rollout = a_solution("s", "a", "correct").model_copy(update={"steps": (Step(text=solution),)})
    row = solved(rollout, problem=a_problem().model_copy(update={"question": question}))
    result = Language()(row, CORPUS)
    assert (result.reason if isinstance(result, Dropped) else None) == (
        f"{expected} in another language" if expected else None
    )
    assert Language(min_solutions=0)(row, CORPUS) == (row if expected != "question" else result)


def test_shape_refuses_what_goes_in_circles_or_on_and_on() -> None:
    circling = a_solution("s", "a", "wrong").model_copy(
        update={"steps": (Step(text="So we add one and one again. " * 9),)}
    )
    assert Shape()(solved(circling), CORPUS) == solved(circling)
    assert Shape(max_repetition=0.5)(solved(circling), CORPUS) == Dropped(reason="repeats itself")
    assert Shape(max_repetition=0.95)(solved(circling), CORPUS) == solved(circling)
    assert Shape(max_characters=100)(solved(circling), CORPUS) == Dropped(reason="too long")


def test_an_unsure_verdict_does_not_count_as_decided() -> None:
    assert Decided()(labeled((verdict_of("x", abstained=True),))) == Dropped(reason="labeler abstained")
    unsure = verdict_of("x", 1).model_copy(update={"posterior": (0.2, 0.5, 0.2, 0.1)})
    clean = verdict_of("x").model_copy(update={"posterior": (0.1, 0.0, 0.0, 0.9)})
    assert Decided(min_confidence=0.8)(labeled((unsure,))) == Dropped(reason="labeler not sure enough")
    assert Decided(min_confidence=0.8)(labeled((unsure,), (clean,))) == labeled((unsure,), (clean,))
    assert Decided(min_confidence=0.8)(labeled((verdict_of("judge", 0),))) == labeled((verdict_of("judge", 0),))


@pytest.mark.parametrize(
    ("others", "within", "kept"),
    [
        ([verdict_of("y", 1), verdict_of("z", 2)], 0, True),
        ([verdict_of("y", 2), verdict_of("z", 2)], 0, False),
        ([verdict_of("y", 2), verdict_of("z", 2)], 1, True),
        ([verdict_of("y"), verdict_of("oracle", 1)], 9, False),
        ([verdict_of("y", abstained=True)], 0, True),
    ],
)
def test_labelers_that_disagree(others: list[Verdict], within: int, kept: bool) -> None:
    row = labeled((verdict_of("x", 1), *others))
    assert Consistent(within=within)(row) == (row if kept else Dropped(reason="labelers disagree"))
