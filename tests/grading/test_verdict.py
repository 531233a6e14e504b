"""Comparing answers exactly, and refusing what is hostile or of another shape, without starting anything."""

import pytest

from stepforge.grading import verdict
from stepforge.grading.gates import MAX_LENGTH, refusal
from stepforge.grading.verdict import decide
from stepforge.schemas.problem import AnswerKind

SAME = [
    ("18", "$18"), ("18", r"\$18.00"), ("18", "18 dollars"), ("18", "**18**"), ("18", r"\boxed{18}"), ("1800",
    "1,800."),
    ("1800", "$1{,}800$"), ("10080", r"10,\!080"), ("1/2", r"\frac12"), ("0.5", r"\dfrac{1}{2}"), ("1.5", "1½"),
    (r"\frac{14}{3}", r"4\frac{2}{3}"), (r"\frac{14}{3}", "14/3"), ("-3", "\u22123"), ("x=5", "5"), ("5", "x = 5"),
    ("50", r"150 \div 3 = 50"), ("90^\\circ", "90 degrees"), ("40", "40%"), ("40%", "40"), ("40%", "0.4"),
    (r"15\mbox{ cm}^2", "15"), ("53", r"53\text{ minutes}"), ("2000000", "2 million"), ("52_8", "52_{8}"),
    ("1,-2", "-2, 1"), ("1,-2", r"\{-2,1\}"), ("1,-2", r"x=1\text{ or }x=-2"), (r"\text{Evelyn}", "evelyn"), ("(C)",
    "C"),
    ("C", r"\text{C}"), ("(1, 2)", "(1,2)"), ("5", "\uff15"), (r"3\sqrt{13}", r"$3\sqrt{13}$"), ("15", r"\15"),
    (r"3\sqrt{13}", r"\sqrt{117}"), ("x^2 + 1", "1 + x^2"),
    ("A", "(A) red"), ("5", r"5 \frac{m}{s}"), ("3", r"3 \quad \blacksquare"),
    ("[0,1]", r"[0,1] \cup (1/2,1)"), (r"15\text{ cm}^2", r"15\text{ cm^2}"), ("15 m/s^2", r"15\text{ m/s^2}"),
    (r"\mathbb{R} \setminus \{1,2\}", r"x \neq 1, x \neq 2"), (r"x \ne 1, 2", r"x \neq 1, x \neq 2"),
    ("(1,3)", "x>1, x<3"),
    (r"(-1,0)\cup(0,1)", r"-1<x<1, x \ne 0"), ("0.5", "a half"),
]  # fmt: skip
DIFFERENT = [
    ("1", "1,1,1"), ("3", "$1$ $2$ $3$"), ("3", "1 2 3"), ("123", "1 2 3"), ("1/3", "0.3333333"), (r"\frac13", "0.333"),
    ("5", "5, 7"), ("5", "x=5 or x=7"), ("3", r"\{1,2,3\}"), ("3", "[1,2,3]"), ("3", "1; 3"), ("3", r"1\quad 3"),
    ("2", "2 million"), ("2", "-2"), ("18", "17 or 18"), ("18", "$18 and $20"), ("5", r"\pm 5"), ("9", "x > 9"),
    ("1,-2", "1"), ("1,-2", "1,-2,3"), ("1,-2", "1,-3"), ("(1,2)", "(1,2,3)"), ("12", "3 4"), ("5", "No solution"),
    ("6", r"\begin{pmatrix}6\\6\end{pmatrix}"), (r"\text{Evelyn}", "Bob"), ("(C)", "B"), ("52_8", "42_8"), ("18", "19"),
    ("18", "18.01"), ("x=5", "x=6"), ("18", "$19"), ("10", "4 blue boxes and 6 red boxes"), ("1800", "1,8"),
    ("(3,4]", "[3,4)"), ("(3,4)", "[3,4]"), ("(2,9)", "x > 2"),
    (r"(-\infty,-1)\cup(1,\infty)", "x < -1, x < 1"), ("5 m/s", "6 m/s"),
    ("C", "C, D"), ("C", r"\text{B and C}"), ("C", "(B) 42"),
]  # fmt: skip
UNSETTLED = [
    ("1", r"100\%"), ("5 hours", "300 minutes"), ("18", "eighteen dozen"), ("1,-2", "(1,-2)"), ("18", ""), ("18", None),
    ("True", "yes"), ("first", "1st"), ("John", "John's"), ("f(x)=x^2", "f(t)=t^2"), (r"\text{undefined}", "DNE"),
    (r"15\text{ m^2}", r"15\text{ m^3}"), ("15 m", r"15\text{ m^2}"), ("20 m/s", "72 km/h"),
    ("1 m^2", "10000 cm^2"), ("1 m^3", "1000 liters"), ("3:15", "a quarter past three"), ("25 cents", "a quarter"),
    ("2.5", "two and a half"), ("3.5", "four and a half"), ("1.5 hours", "an hour and a half"),
    ("C", "42"), ("C", "C - 42"), ("C", r"\text{Paris}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "reference", "answer"),
    [
        *(("correct", *pair) for pair in SAME),
        *(("wrong", *pair) for pair in DIFFERENT),
        *(("undetermined", *pair) for pair in UNSETTLED),
    ],
)
def test_equal_answers_others_and_what_cannot_be_settled(outcome: str, reference: str, answer: str | None) -> None:
    assert decide(reference, answer, "math") == outcome


@pytest.mark.parametrize("answer", [r"\int_0^1 2x\,dx", r"\sum_{n=1}^{3} n", r"\lim_{n\to\infty} \frac{n}{n+1}"])
def test_what_the_formulas_do_not_have_is_left_to_math_verify(answer: str) -> None:
    assert decide("1", answer, "math") is None


EXACT: list[tuple[AnswerKind, str, str, str]] = [
    ("integer", "15", "15", "correct"), ("integer", "15", "3 * (7 - 2)", "correct"), ("integer", "15", "16", "wrong"),
    ("integer", "15", "15 apples", "correct"), ("integer", "15", "1 5", "wrong"), ("integer", "15", "15,15", "wrong"),
    ("rational", "7/6", "14/12", "correct"), ("rational", "7/6", r"\frac{7}{6}", "correct"),
    ("rational", "1/3", "0.3333333", "wrong"), ("expression", "3x^2 - 2x + 1", "1 - 2*x + 3x^2", "correct"),
    ("expression", "3x^2 - 2x + 1", "3x^2 - 2x", "wrong"), ("choice", "C", "(c)", "correct"),
    ("choice", "C", "C) 42 apples", "correct"), ("choice", "C", "B", "wrong"), ("text", "North East", "north  east.",
    "correct"),
    ("choice", "C", "Option C", "correct"), ("choice", "C", "(B) 42", "wrong"), ("choice", "C", "42", "undetermined"),
    ("text", "north", "north east", "wrong"), ("integer", "15", "(" * 25 + "15" + ")" * 25, "correct"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "reference", "answer", "outcome"), EXACT)
def test_each_kind_is_compared_in_its_own_way(kind: AnswerKind, reference: str, answer: str, outcome: str) -> None:
    assert decide(reference, answer, kind) == outcome
    assert decide(None, answer, kind) == "undetermined"


def test_a_bound_too_big_for_a_float_is_no_verdict() -> None:
    assert decide("x \\ne 10^{400}", "\\mathbb{R} \\setminus \\{10^{400}\\}", "math") != "wrong"
    assert decide("x < 10^{400}", "\\mathbb{R}", "math") != "correct"


REFUSED = [
    "9^{9^{9^{9}}}", "9**9**9**9", "9^{9^9}", "2^{100000}", "2^{999\\cdot 999}", "((10!)!)!", "3!!!", "1001!",
    "(10^9)!",
    r"\binom{10^9}{5\cdot10^8}", r"\sum_{n=1}^{10^{12}} n", r"\prod_{k=1}^{100000} k", "{" * 31, "7" * 101, "1," * 201,
    "a" * 2001, "1\x00", "1\u202e2", "\ud800", "__import__('os')", "\u0661\u0662", "((9^24)^24)^24)^24)^24",
    r"\begin{pmatrix}" + "1&" * 101,
]  # fmt: skip


def test_a_text_too_long_to_compare_is_not_remembered() -> None:
    known = verdict._decide.cache_info().currsize
    assert decide("1" * (MAX_LENGTH + 1), "2", "integer") == "undetermined"
    assert decide("a", "a" * (MAX_LENGTH + 1), "text") == "undetermined"
    assert verdict._decide.cache_info().currsize == known


@pytest.mark.parametrize("text", REFUSED)
def test_gates_refuse_what_is_not_compared(text: str) -> None:
    assert refusal(text) is not None
    assert decide("18", text, "math") == "undetermined"
    assert decide(text, "18", "math") == "undetermined"


PASSED = ["2^{1000}", "100!", "n!", "(n-1)!", r"\binom{10}{3}", r"\sum_{n=1}^{100} n", "e^{x^2}", r"11,\! 111",
          "-23x^3(5x^4-2)", "x^{10} + x^9 + x^8",
          "(x+1)^2 (x+2)^3", "**18**", "10^{10}", r"\frac{\pi^2}{8}", r"2^{n^2}", "0.1", "²"]  # fmt: skip


@pytest.mark.parametrize("text", PASSED)
def test_gates_let_ordinary_answers_through(text: str) -> None:
    assert refusal(text) is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["(", "{", "1,", "1 ", "^{", "!", "a", "$", "-", "=", "\\frac", "\\text{", "a b", "9^", "1/", ")^9"]
)
@pytest.mark.parametrize("kind", ["math", "integer", "expression", "text", "choice"])
def test_deciding_is_fast_whatever_the_text(piece: str, kind: AnswerKind) -> None:
    text = (piece * 2000)[:2000]
    for length in (100, 390, 2000):
        decide("18", text[:length], kind)
        decide(text[:length], "x+1", kind)


@pytest.mark.timeout(60)
def test_sets_of_sets_are_compared_in_no_time() -> None:
    nested = "1"
    for i in range(28):
        nested = rf"\{{{nested}, {i}\}}"
    assert decide(nested, nested.replace("1, 0", "2, 0"), "math") == "wrong"
