"""One row of a problem set: its reference answer, its bad values, and settings that contradict each other."""

import math
from decimal import Decimal

import pytest
from pydantic import ValidationError

from stepforge.generators.problem_sets import ProblemSet, row_to_problem
from stepforge.schemas.errors import BadInput


def test_copies_of_a_question_share_a_group() -> None:
    part = ProblemSet(path="x.jsonl")
    first, second = (row_to_problem(part, {"question": q}, 1, "x").problem for q in ("How  many?", "how many?\n"))
    assert first.group == second.group
    assert first.id != second.id


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("He has 3.\n#### 1,000", "1,000"),
        (r"So $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        ("Paris", "Paris"),
        (" x = 5 ", "x = 5"),
        ("the answer is blowing", "blowing"),
        ("Because 3+4=7.\nAnswer: 7", "7"),
        (1e-07, "0.0000001"),
        (1e22, "1" + "0" * 22),
        (10**30, "1" + "0" * 30),
        (2**63, str(2**63)),
        (Decimal("3.50"), "3.50"),
        (Decimal("1E+3"), "1000"),
        (7, "7"),
        (7.0, "7"),
        (0.25, "0.25"),
        (None, None),
        ("  ", None),
    ],
)
def test_reference_answers(value: object, answer: str | None) -> None:
    row = {"question": "q", "answer": value}
    assert row_to_problem(ProblemSet(path="x.csv", answer="answer"), row, 1, "x").problem.answer == answer


ALL_COLUMNS = {"answer": "answer", "steps": "steps", "difficulty": "level", "id": "id", "domain": "domain"}
BAD_ROWS: list[tuple[dict[str, object], str]] = [
    ({"question": ""}, "question.*empty"), ({"question": None}, "question.*missing"),
    ({"question": 7}, "question.*a number, not text"), ({"question": math.nan}, "question.*nan"),
    ({"question": "a\0b"}, "question.*NUL"), ({"question": "a\ud800"}, "question.*surrogate"),
    ({"question": "a" * 1_000_001}, "question.*over 1,000,000"), ({"answer": math.inf}, "answer.*inf"),
    ({"answer": True}, "answer.*true or false"), ({"answer": ["1"]}, "answer.*a list"),
    ({"answer": "####"}, "answer.*without an answer"), ({"answer": r"\boxed{1"}, "answer.*without an answer"),
    ({"answer": "1" * 2001}, "answer.*over 2000"), ({"steps": "one text"}, "steps.*text, not a list"),
    ({"steps": ["a", 2]}, "steps.*step 1 is a number"), ({"steps": ["a", " "]}, "steps.*step 1 is empty"),
    ({"steps": []}, "steps.*0 steps"), ({"level": "hard"}, "difficulty.*'hard' is not a whole number"),
    ({"level": 2.5}, "difficulty"), ({"id": None}, "id.*missing"), ({"id": 1.0}, "id.*a number, not text"),
    ({"domain": "a\nb"}, "domain.*unprintable"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_a_bad_row_is_named_with_file_row_and_field(change: dict[str, object], message: str) -> None:
    good = {"question": "q", "answer": "1", "steps": ["a"], "level": "Level 3", "id": 5, "domain": "d"}
    part = ProblemSet.model_validate({"path": "x.json", **ALL_COLUMNS})
    assert row_to_problem(part, good, 17, "x.json").problem.difficulty == 3
    with pytest.raises(BadInput, match=f"^x.json, row 17, {message}") as caught:
        row_to_problem(part, {**good, **change}, 17, "x.json")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"path": "a", "hub": "b/c"},
        {"path": "a", "split": "test"},
        {"hub": "../a"},
        {"path": "a", "qestion": "q"},
        {"path": "a", "solution": "s", "steps": "t"},
        {"path": "a", "limit": 0},
        {"path": "a", "name": "a:b"},
        {"path": "a", "first_error": "l"},
        {"path": "a", "solution": "s", "first_error": "l", "ratings": "r"},
        {"path": "a", "steps": "s", "error_span": "e"},
        {"path": "a", "tests": "t", "answer": "a"},
        {"path": "a", "setup": "s"},
        {"path": "a", "answer": "a", "verifier": {"kind": "command", "command": ["true"]}},
        {"path": "a", "verifier": {"kind": "python", "function": "no_colon"}},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProblemSet.model_validate(settings)


def test_a_reference_that_frames_no_answer_is_refused() -> None:
    row = {"question": "q", "answer": "First we add 3 and 4 to get 7. Then it is 14."}
    with pytest.raises(BadInput, match="frames no answer"):
        row_to_problem(ProblemSet(path="x.csv", answer="answer"), row, 1, "x")
