"""What a judge wrote is read as a verdict, or is unreadable; imitations of its delimiters are seen."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scripted_judge import IMITATIONS

from stepforge.labelers.verdict_text import delimiter, filled, imitates, numbered, read_verdict, verdict_line

# Reading a verdict.


@given(st.integers(0, 400), st.integers(1, 400), st.text(alphabet=st.characters(exclude_characters="W"), max_size=40))
def test_a_verdict_line_is_read_as_it_was_written(error: int, steps: int, words: str) -> None:
    readable = (True, error) if error < steps else (False, None)
    for before in ("", "\n", f"{words}\n", f"<1>\n{words}\nyes\n"):
        for after in ("", "\n", "  \n\n"):
            assert read_verdict(f"{before}{verdict_line(error)}{after}", steps) == readable
            assert read_verdict(f"{before}{verdict_line(None)}{after}", steps) == (True, None)


def test_a_verdict_by_hand() -> None:
    assert verdict_line(2) == "Wrong step: 3"
    assert verdict_line(None) == "Wrong step: none"
    assert read_verdict("The sum is off.\nWrong step: 3", 5) == (True, 2)
    assert read_verdict("Wrong step: none", 5) == (True, None)
    assert read_verdict("Wrong step: 5", 5) == (True, 4)


UNREADABLE_TEXTS = [
    "",
    "Wrong step: 3 because of the sum",
    "Wrong step: 3.",
    "Wrong step: 3\nThat is all.",
    "Wrong step: 2\nNo, it is later.\nWrong step: 3",
    "I write Wrong step: 3 below.\nWrong step: 3",
    "Wrong step: 6",
    "Wrong step: 0",
    "Wrong step: +3",
    "Wrong step: 03",
    "Wrong step: 3.0",
    "Wrong step: 3" + 5000 * "0",
    "Wrong step: \N{ARABIC-INDIC DIGIT THREE}",
    "Wrong step:",
    "Wrong step:3",
    "Wrong step:  3",
    "Wrong step: 2, 3",
    "Wrong step: None",
    "Wrong step: none.",
    'Wrong step: "none"',
    "Wrong steps: 3",
    "wrong step: 3",
    "**Wrong step: 3**",
    "So Wrong step: 3",
    "none",
]


@pytest.mark.parametrize("text", UNREADABLE_TEXTS)
def test_anything_else_is_unreadable(text: str) -> None:
    assert read_verdict(text, 5) == (False, None)
    assert read_verdict(f"Step 1 is right.\n{text}", 5) == (False, None)


def test_digits_of_another_script_are_unreadable() -> None:
    assert read_verdict("Wrong step: 1\N{ARABIC-INDIC DIGIT THREE}", 20) == (False, None)


@given(st.text(alphabet="Wrong step:none123\n ", max_size=60), st.integers(1, 9))
def test_what_is_read_is_a_step_that_exists(text: str, steps: int) -> None:
    readable, error = read_verdict(text, steps)
    assert error is None or (readable and 0 <= error < steps)
    assert not readable or text.rstrip().endswith(verdict_line(error))


HARMLESS = ["a <3> b", "x < 3", "<3> = 4", "<x>", "<>", "the wrong step: none", "no Wrong step: 3 here", "< 3 >", "3"]


@pytest.mark.parametrize("text", IMITATIONS)
def test_imitations_of_delimiters_and_verdicts_are_seen(text: str) -> None:
    assert imitates(["a = 1\n", text, "b = 2"])
    assert imitates(["a = 1\n", text], "feed")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_them_is_not(text: str) -> None:
    assert not imitates(["a = 1\n", text])
    assert not imitates(["a = 1\n", text], "feed")
    assert imitates([f"a {text} feed"], "feed")


def test_steps_stand_between_numbered_delimiters() -> None:
    assert numbered(["a = 1\n", " b = 2 \n\n"]) == "<1>\na = 1\n<2>\nb = 2\n"
    assert numbered(["a"], "feed") == "<1 feed>\na\n"
    assert (delimiter(7), delimiter(7, "feed")) == ("<7>", "<7 feed>")


def test_places_inside_texts_are_not_filled() -> None:
    texts = {"question": "What are {steps} and {question}?", "steps": "{question} = {other}\n"}
    assert (
        filled("{question}\n{steps}{else}", **texts) == "What are {steps} and {question}?\n{question} = {other}\n{else}"
    )


@given(st.lists(st.text(alphabet="<>123 \nWrong step:", max_size=30), min_size=1, max_size=6))
def test_steps_that_are_let_through_can_be_told_apart(steps: list[str]) -> None:
    assume(not imitates(steps))
    shown = numbered(steps)
    assert re.findall(r"^<(\d+)>$", shown, re.MULTILINE) == [str(i + 1) for i in range(len(steps))]
    assert [part.strip() for part in re.split(r"^<\d+>$", shown, flags=re.MULTILINE)[1:]] == [s.strip() for s in steps]
