"""Finding the final answer in a solution's text."""

import asyncio

import pytest
from fakes import EqualGrader, a_problem, a_solution

from stepforge.grading.final_answer import extract_answer, stated_answer
from stepforge.grading.frames import MAX_ANSWER
from stepforge.grading.outcomes import graded
from stepforge.schemas.rollout import Step

FOUND = [
    (r"So \boxed{18}.", "18"), (r"First \boxed{3}, then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"It is \boxed 5 in all", "5"), (r"Thus **\boxed{$7455}** a week", "$7455"),
    (r"the set is \boxed{\left\{ 1, 2 \right.}", r"\left\{ 1, 2 \right."), ("18 - 6 = 12\n#### 1,200", "1,200"),
    ("#### 18\nI hope this helps", "18"), ("#### Step 1: add\n3 + 4 = 7\nThe answer is 7", "7"),
    ("Work.\n\n**Answer:** 18", "18"), ("**Final Answer**: $\\frac{3}{4}$", r"\frac{3}{4}"),
    ("Final answer:\n42", "42"), ("ANSWER: 18, or the aN\u017fwer = 19", "19"),
    ("The reanswer: 5 and an answer: 6. The \u00e4answer: 7", "6"),
    ("So. Answer: John has 180 minutes to nap.", "180 minutes"), ("Answer: Evelyn", "Evelyn"),
    ("Answer: 18 dollars", "18 dollars"), ("The answer is 18. I hope it is correct.", "18"),
    ("The answer is 3.5.", "3.5"),
    ("The answer is three and a half.", "three and a half"), ("So it is 2/3 \u2248 0.667.", "2/3"),
    ("The answer is 2/3, or about 67%.", "2/3"), ("So the share is 2/3, or about 67%.", "2/3"),
    ("So 3.14 * 25 \u2248 78.5.", "78.5"), ("With x = 7/2 \u2248 3.5 the area is = 49/4 \u2248 12.25.", "49/4"),
    ("As the speed is 4.5 \u2248 5, we get 20 hours.", "20 hours"), ("The answer to the question is therefore 7.", "7"),
    ("The answer is 18. I checked that the answer is right.", "18"), ("The final answer is: \\(12\\).", "12"),
    ("Therefore, the cost is $\\$18$.", r"\$18"), ("Therefore, the value is $x = \\frac{3}{4}$.", r"\frac{3}{4}"),
    ("So, there are **18** apples in 3 boxes.", "18"), ("So, Marcel earned $131,250.", "$131,250"),
    ("Raymond has $8 left.", "$8"), ("She paid $5 and $6, which is $11.", "$11"), ("That is 37.5% of them.", "37.5%"),
    ("The total is -24.", "-24"), ("He ate 3/4 of the cake.", "3/4"),
    ("\\[ 20 \\times 2 = 40 \\text{ cubic inches} \\]", r"40 \text{ cubic inches}"),
    ("She has 12 left. That is all.", "12"), (r"\frac{3}{4}", r"\frac{3}{4}"),
    (r"$\left( 3, \frac{\pi}{2} \right)$", r"\left( 3, \frac{\pi}{2} \right)"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"\text{No solution}", r"\text{No solution}"), ("x = 5", "x = 5"), ("Evelyn", "Evelyn"),
    ("So he makes 60*2=$120 in 2 weeks.", "$120"), ("Since x = 5, she has 12.", "12"),
    ("That is $118 000 in all.", "$118 000"), (r"\frac{2ab}{a^2 + b^2}", r"\frac{2ab}{a^2 + b^2}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer"), FOUND)
def test_finds_the_answer_as_written(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize("text", ["", "   ", "I cannot say.", r"\boxed{}", "\\boxed{", "####", "Answer:"])
def test_a_text_that_names_nothing_has_no_answer(text: str) -> None:
    assert extract_answer(text) is None


def test_the_last_resort_can_be_left_out() -> None:
    assert extract_answer("So she has 12.") == "12"
    assert stated_answer("So she has 12.") is None
    assert stated_answer("Answer: 12") == "12"


def test_a_long_answer_is_cut_just_past_the_limit() -> None:
    found = extract_answer("\\boxed{" + "7" * 10 * MAX_ANSWER + "}")
    assert found is not None
    assert len(found) == MAX_ANSWER + 1


ADVERSARIAL = [
    "{", "\\boxed{", "\\boxed{}", "\\boxed", "#### ", "#### a\n", "Answer: ", "the answer is ", "answer ", "answer",
    "$", "$1", "\\(",
    "**", "* ", "1,", "1,111", "1 ", "1/", "\n", " ", "=", "\\", "a. ", "Answer:\n", "1", "$$", "\\$", "\t", "\\text{",
    "<|x|>", "</think>", "<answer>", "答案", "答案是", "{\"a", "\n{", "\nQuestion:", "\\boxed{1} and ", "24 (", "`a",
    "\"",
]  # fmt: skip


@pytest.mark.parametrize("piece", ADVERSARIAL)
@pytest.mark.timeout(120)  # what took time by the square of the length would take many minutes
def test_long_texts_of_anything_are_read_in_linear_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    between = "\\boxed{1}" + text[:1900] + "x = \\boxed{2}"
    for adversarial in (text, text + "\\boxed{1", "\\boxed{" + text, "Answer: " + text, "x" + text + "\n", "#" + text):
        extract_answer(adversarial)
        extract_answer(adversarial + between)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("So it is.", "wrong"),
        (r"So it is \boxed{1", "undetermined"), (r"\boxed{1}, no, \boxed{\frac{1", "undetermined"),
        ("<think>Is it 1", "undetermined"), ("<think>Is it 1?</think> It is.", "wrong"),
    ],
)  # fmt: skip
def test_a_text_that_ends_within_its_answer_is_cut_off_whatever_its_server_says(text: str, outcome: str) -> None:
    solution = a_solution("s", "a", "wrong").model_copy(update={"steps": (Step(text=text),), "answer": None})
    uncounted = solution.model_copy(update={"tokens": 0})  # by a server that does not report its usage
    for found in asyncio.run(graded(a_problem(), [solution, uncounted], EqualGrader())):
        assert (found.finish, found.outcome) == ("stop", outcome)
