"""Whatever the text, the grader returns one of its outcomes, and never raises."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepforge.grading.final_answer import extract_answer, reference_answer, stated_answer
from stepforge.grading.gates import refusal
from stepforge.grading.spelling import cleaned
from stepforge.grading.symbolic import symbolic_outcome
from stepforge.grading.verdict import decide, subject
from stepforge.schemas.problem import AnswerKind

PIECES = [
    "\\frac", "{", "}", "(", ")", "[", "]", "1", "2", "0.5", "x", "y", "i", "e", "\\pi", "^", "_", "+",
    "-", "*", "/", ",", ";", " ", "=", "<", "\\le", "\\in", "\\cup", "\\infty", "\\pm", "\\sqrt",
    "\\text{ cm}", "\\text{", "%", "$", "\\$", "|", "!", "\\binom", "\\log", "\\sin", "\\overline{3}",
    "...", "°", "π", "½", "²", "\\begin{pmatrix}", "\\end{pmatrix}", "&", "\\\\", " and ", " or ",
    " dozen", " million", "A", "(B)", ":", " to ", "\\mathbb{R}", "\\setminus", "\\{", "\\}", "\n",
    "\\boxed{", "#### ", "Answer: ", "The answer is ", "</think>", "<answer>", "{\"answer\": ", "答案是",
    "18", "元", "**", "`",
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KINDS: list[AnswerKind] = ["integer", "rational", "expression", "math", "choice", "text"]


@FEW
@given(TEXTS, TEXTS, st.sampled_from(KINDS))
def test_deciding_never_raises(reference: str, answer: str, kind: AnswerKind) -> None:
    assert decide(reference, answer, kind) in ("correct", "wrong", "undetermined", None)
    assert subject(reference, answer)


@FEW
@given(TEXTS)
def test_finding_an_answer_never_raises(text: str) -> None:
    for find in (extract_answer, stated_answer, reference_answer):
        found = find(text)
        assert found is None or found


@FEW
@given(TEXTS)
def test_an_answer_is_equal_to_itself_or_refused(text: str) -> None:
    expected = "undetermined" if refusal(text) or not cleaned(text) else "correct"
    assert decide(text, text, "math") == expected


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_asking_math_verify_never_raises(reference: str, answer: str) -> None:
    if refusal(reference) is None and refusal(answer) is None:
        assert symbolic_outcome(reference, answer) in ("correct", "wrong", "undetermined")


@pytest.mark.parametrize("answer", ["%" * 1200, "5" + "%" * 1200, "5" + " %" * 900, "5 " + "\\text{%}" * 200])
def test_a_thousand_percent_signs_are_no_recursion(answer: str) -> None:
    assert decide("5", f"\\boxed{{{answer}}}", "math") != "correct"
    assert extract_answer(f"So \\boxed{{{answer}}}.") == answer
