"""The oracle judges sentences by their values, whatever their form."""

import pytest
from pens import pens, steps

from benchmarks.free_wording import Part, Wording, judged
from stepforge.generators.families import ALL_FAMILIES
from stepforge.grading.sentences import MAX_LENGTH, read_sentence
from stepforge.labelers.oracle import judge, oracle_verdict
from stepforge.schemas.rollout import Rollout

PROBLEM = pens("sentences")


@pytest.mark.parametrize("wording", ["free", "long"])
@pytest.mark.parametrize("part", ["tuning", "held_out"])
def test_drawn_solutions_are_judged_as_they_are_marked(part: Part, wording: Wording) -> None:
    """At least 99.5 % of steps, on forms that the reader was tuned on and on the others."""
    solutions = [solution for family in ALL_FAMILIES for solution in judged(family, part, 25, wording)]
    agreed = [same for solution in solutions for same in solution.agreed]
    assert all(solution.first_agreed for solution in solutions)
    assert len(agreed) > 750
    assert sum(agreed) / len(agreed) >= 0.995


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
        ("Ann has 4 pens. So Bob has 2 * 4 = 8 pens, as needed. We count pens here.", "right"),
        ("The number of Ann is 8. So Bob has 2 * 4 = 8 pens.", "wrong"),
        ("Bob has 2 * 4 = 9 pens. No, that is wrong: it is 8.", "right"),
        ("Bob has 8 pens. A check for Bob: 8 / 2 = 5.", "wrong"),
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
