"""The oracle judges sentences by their values, whatever their form."""

import pytest

from benchmarks.embedded_policy.free_solutions import free_solution
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family
from stepforge.grading.sentences import MAX_LENGTH, read_sentence
from stepforge.labelers.oracle import judge, oracle_verdict
from stepforge.schemas.problem import Problem, Quantity, Truth
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import rng_of

PROBLEM = Problem(
    id="p",
    source="test",
    domain="test",
    question="Ann has 4 pens. Bob has 2 times as many as Ann. Cleo has 5 more than Bob. How many has Cleo?",
    answer="13",
    answer_kind="integer",
    group="g",
    truth=Truth(
        quantities=(
            Quantity(name="Ann", expression="", value="4"),
            Quantity(name="Bob", expression="2 * 4", value="8"),
            Quantity(name="Cleo", expression="8 + 5", value="13"),
        ),
        reading="sentences",
    ),
)


def steps(*lines: str) -> tuple[Step, ...]:
    return tuple(Step(text=f"{line}\n") for line in lines)


@pytest.mark.parametrize("part", ["tuning", "held_out"])
def test_drawn_solutions_are_judged_as_they_are_marked(part: str) -> None:
    """At least 99.5 % of steps, on forms that the reader was tuned on and on the others."""
    total = agreed = 0
    for family in ALL_FAMILIES:
        agreed_here, here, first = _agreement(family, part)
        assert first == 1.0
        total, agreed = total + here, agreed + agreed_here
    assert total > 1500
    assert agreed / total >= 0.995


def _agreement(family: type[Family], part: str) -> tuple[int, int, float]:
    source = family(levels=(1, 2, 3, 4, 5, 6), wording="free")
    agreed = total = same_first = 0
    solutions = 50
    for i in range(solutions):
        draft, _ = source.draw(3, i)
        lines = free_solution(draft, rng_of("oracle", part, i), slip_share=0.6, repair_share=0.4, part=part)  # type: ignore[arg-type]
        wrong = [c in ("wrong", "repaired") for c in judge(source.item(3, i), tuple(Step(text=x.text) for x in lines))]
        true = [not line.right for line in lines]
        agreed, total = agreed + sum(a == b for a, b in zip(wrong, true, strict=True)), total + len(lines)
        same_first += (wrong.index(True) if any(wrong) else None) == (true.index(True) if any(true) else None)
    return agreed, total, same_first / solutions


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("So Bob has 2 * 4 = 8 pens.", "right"),
        ("Bob has eight pens, which is two times four.", "right"),
        ("8 pens belong to Bob, as Ann has 4.", "right"),
        ("So Bob has 2 * 4 = 9 pens.", "wrong"),
        ("So Bob has 2 + 4 = 6 pens.", "wrong"),
        ("Bob has two times four, which makes nine.", "wrong"),
        ("Cleo has 8 pens.", "wrong"),
        ("Bob has 2 * 4 = 9, no, wait, 8 pens.", "right"),
        ("Bob has 2 * 4 = 8, no, wait, 9 pens.", "wrong"),
        ("Let us look at Cleo first.", "unknown"),
        ("The final answer is 13.", "right"),
        ("The final answer is 12.", "wrong"),
    ],
)
def test_a_sentence_is_judged_by_its_values(line: str, found: str) -> None:
    assert judge(PROBLEM, steps(line)) == (found,)


def test_a_repair_is_seen_by_its_opening_or_by_the_name() -> None:
    by_name = ("Bob has 9 pens.", "Bob has 2 * 4 = 8 pens.")
    assert judge(PROBLEM, steps(*by_name)) == ("repaired", "right")
    unnamed = ("That makes 2 * 4 = 9.", "Wait, that was wrong: 2 * 4 = 8.")
    assert judge(PROBLEM, steps(*unnamed)) == ("repaired", "right")


def test_the_first_error_is_the_first_wrong_sentence() -> None:
    written = steps("Ann starts with 4 pens.", "Bob: 2 * 4 = 7.", "Cleo: 7 + 5 = 12.", "Answer: 12")
    rollout = Rollout(id="r", start=None, steps=written, answer="12", outcome="wrong", finish="stop", tokens=1)
    assert oracle_verdict(PROBLEM, rollout).first_error == 1


@pytest.mark.parametrize(
    ("text", "equations"),
    [
        ("We get 7 + 3 = 10.", [("7 + 3", "10")]),
        ("seven plus three is ten", [("7 + 3", "10")]),
        ("84 divided by 36 leaves 12", [("84 mod 36", "12")]),
        ("10 = 7 + 3, as needed", [("10", "7 + 3")]),
        ("the rest + 5 = 12", []),
        ("5 + the rest = 12", []),
        ("$1,200 * 2 = $2,400", [("1200 * 2", "2400")]),
        ("no numbers here", []),
    ],
)
def test_equations_are_read_in_signs_and_words(text: str, equations: list[tuple[str, ...]]) -> None:
    assert list(read_sentence(text).equations) == equations


def test_of_a_long_line_only_the_beginning_is_read() -> None:
    assert read_sentence("1 + 1 = 2. " + "word " * MAX_LENGTH + "1 + 1 = 3").equations == (("1 + 1", "2"),)
