"""Deductions, moves and calls: the oracle judges what a step does, not how close its text is to a reference."""

from random import Random

import pytest

from benchmarks.embedded_policy.mistakes import mistaken
from stepforge.generators.families import Logic, Plans, Tools
from stepforge.grading.logic import Deduction, known_formulas, read_deduction, read_formula
from stepforge.labelers.deductions import classify
from stepforge.labelers.labeling import of_policy
from stepforge.labelers.oracle import judge, oracle_verdict
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.problem import Problem, Truth
from stepforge.schemas.rollout import Rollout, Step

pytest.importorskip("z3")
LETTERS = "Known: P. if P then Q. Q or R. not R. if Q and S then T. if U then P. Which follows: Q, T or U?"
KINDS = "Known: Rex is a cat. every cat is a pet. no pet is a wolf. some pet is a dog. Which follows: x, y or z?"


def steps(text: str) -> tuple[Step, ...]:
    return tuple(Step(text=line, author="policy") for line in text.splitlines(keepends=True))


def logic(question: str, answer: str) -> Problem:
    return Problem(
        id="l",
        source="logic",
        domain="logic",
        question=question,
        answer=answer,
        answer_kind="text",
        group="g",
        truth=Truth(quantities=(), reading="deductions"),
    )


@pytest.mark.parametrize("family", [Logic(), Logic(levels=(6,)), Plans(), Plans(levels=(6,)), Tools()])
def test_reference_solutions_are_right_and_every_mistake_is_seen(family: Logic | Plans | Tools) -> None:
    legal = 0
    for i in range(25):
        problem, (worked, _) = family.item(3, i), family.worked(3, i)
        assert set(judge(problem, steps(problem.reference_solution or ""))) == {"right"}
        pieces = mistaken(worked, Random(i))
        place = next(
            (k for k, piece in enumerate(pieces) if not piece.learn and not piece.text.startswith(" = ")), None
        )
        classes = judge(problem, steps("".join(piece.text for piece in pieces)))
        if place is None:
            continue
        at = "".join(piece.text for piece in pieces[:place]).count("\n")
        if family.kind == "plans" and classes[at] == "right":
            legal += 1  # a longer way that is still in time
        else:
            assert (set(classes[:at]) or {"right"}) == {"right"} and classes[at] in ("wrong", "repaired")
    assert legal < 20


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("P, if P then Q, so Q", "valid"),
        ("if P then Q, P, so Q", "valid"),
        ("P, if P then Q, so Q or T", "valid"),
        ("Q or R, not R, so Q", "valid"),
        ("from P, if P then Q, so Q", "valid"),
        ("P, so P", "redundant"),
        ("P, if U then P, so U", "non_sequitur"),
        ("Q, if Q and S then T, so T", "non_sequitur"),
        ("R, so P and R", "invalid"),
        ("P, if P then Q, so not Q", "invalid"),
    ],
)
def test_each_deduction_has_its_class(line: str, found: str) -> None:
    deduction = read_deduction(line)
    assert deduction is not None
    assert classify(deduction, known_formulas(LETTERS)) == found


def test_syllogisms_are_judged_by_their_meaning() -> None:
    known = known_formulas(KINDS)
    assert len(known) == 4

    def of(line: str) -> str:
        deduction = read_deduction(line)
        assert deduction is not None
        return classify(deduction, known)

    assert of("Rex is a cat, every cat is a pet, so Rex is a pet") == "valid"
    assert of("every cat is a pet, no pet is a wolf, so no cat is a wolf") == "valid"
    assert of("Rex is a cat, every cat is a pet, no pet is a wolf, so Rex is no wolf") == "valid"
    assert of("some pet is a dog, Rex is a cat, so Rex is a dog") == "non_sequitur"
    assert of("Rex is a cat, every cat is a pet, so Rex is a wolf") == "invalid"
    assert read_formula("Rex is a") is None and read_deduction("so what") is None
    assert read_deduction(f"P, so {'not ' * 20_000}P") is None


def test_another_right_way_is_right_and_what_was_not_proved_cannot_be_used() -> None:
    problem = logic(LETTERS, "Q")
    assert judge(problem, steps("Q or R, not R, so Q\nAnswer: Q")) == ("right", "right")
    wrong = "Q, if Q and S then T, so T\nT, so T or U\nAnswer: T"
    assert judge(problem, steps(wrong)) == ("wrong", "wrong", "wrong")
    assert judge(problem, steps("Let us see.\nP, if P then Q, so Q\nAnswer: Q")) == ("unknown", "right", "right")


def test_the_other_candidates_never_follow() -> None:
    for i in range(15):
        problem = Logic(levels=(1, 3, 6)).item(8, i)
        known = known_formulas(problem.question)
        choices = problem.question.partition("Which follows: ")[2].removesuffix("?").replace(" or ", ", ").split(", ")
        assert len(choices) == 3
        for choice in choices:
            formula = read_formula(choice)
            assert formula is not None
            follows = classify(Deduction(known, formula), known) == "valid"
            assert follows == (choice == problem.answer)


def test_moves_are_judged_by_what_they_do() -> None:
    problem = (
        Plans(puzzles=("jugs",))
        .item(1, 0)
        .model_copy(
            update={"question": "Jug A holds 5 and jug B 3. Both are empty. Get 2 in jug A in at most 3 moves."}
        )
    )
    assert judge(problem, steps("fill A: 5 0\npour A B: 2 3\nAnswer: fill A, pour A B")) == ("right",) * 3
    assert judge(problem, steps("fill A: 5 0\npour A B: 3 3\nAnswer: fill A, pour A B")) == ("right", "wrong", "right")
    late = "fill B: 0 3\nfill A: 5 3\nempty B: 5 0\npour A B: 2 3\nAnswer: fill B, fill A, empty B, pour A B"
    assert judge(problem, steps(late))[0] == "wrong", "the goal is out of reach in the moves that are left"
    roomier = problem.model_copy(update={"question": problem.question.replace("most 3", "most 4")})
    assert judge(roomier, steps(late)) == ("right",) * 5
    assert judge(problem, steps("pour A B: 0 0\nAnswer: pour A B")) == ("wrong", "wrong")


def test_a_call_is_judged_with_its_answer_and_a_needless_one_is_wrong() -> None:
    problem = next(
        p
        for i in range(200)
        if (p := Tools(levels=(2,)).item(3, i)).known_solution and "+" in p.known_solution and p.truth
    )
    assert problem.known_solution is not None
    parts: list[Step] = []
    for line in problem.known_solution.splitlines(keepends=True):
        call, mark, told = line.partition(">>")
        parts += [Step(text=call + mark)] + ([Step(text=told, author="tool")] if mark else [])
    assert set(judge(problem, tuple(parts))) == {"right"}
    place = next(i for i, step in enumerate(parts) if step.text.endswith(">>"))
    wrong = [*parts[:place], parts[place].model_copy(update={"text": parts[place].text.replace("* ", "* 1")})]
    classes = judge(problem, (*wrong, *parts[place + 1 :]))
    assert classes[place : place + 2] == ("wrong", "right")
    sums = next(line for line in problem.known_solution.splitlines() if " + " in line)
    name, expression, value = sums.split(" = ")
    needless = problem.known_solution.replace(sums, f"{name} = <<{expression}>> = {value}")
    assert "wrong" in judge(problem, steps(needless))


def test_no_verdict_blames_a_tool() -> None:
    parts = (Step(text="a = <<1 + 1>>"), Step(text=" = 2\n", author="tool"), Step(text="Answer: 2"))
    verdict = Verdict(labeler="x", first_error=1, classes=("right", "wrong", "after"))
    assert of_policy(verdict, parts) == Verdict(labeler="x", first_error=0, classes=("wrong", "after", "after"))
    assert of_policy(Verdict(labeler="x", first_error=2), parts).first_error == 2


def test_without_z3_the_oracle_abstains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.labelers.oracle.z3_is_there", lambda: False)
    rollout = Rollout(
        id="r", start=None, steps=steps("P, so P\n"), answer=None, outcome="wrong", finish="stop", tokens=3
    )
    verdict = oracle_verdict(logic(LETTERS, "Q"), rollout)
    assert verdict.abstained and "z3-solver" in (verdict.reason or "")
