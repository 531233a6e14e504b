"""Columns inside others, chat messages, several solutions in a row, and what people say of them."""

import pytest

from stepforge.generators.columns import lookup
from stepforge.generators.problem_sets import ProblemSet, SourceItem, row_to_problem
from stepforge.generators.supplied import LabelMismatch, on_steps
from stepforge.schemas.errors import BadInput
from stepforge.schemas.rollout import PeopleLabel

USER = {"role": "user", "content": "What is 3 + 4?"}
CHAT = [{"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "3 + 4 = 7"}]


def item(row: dict[str, object], **settings: object) -> SourceItem:
    part = ProblemSet.model_validate({"path": "x.jsonl", **settings})
    return row_to_problem(part, {"question": "q", **row}, 1, "x.jsonl")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", 1),
        ("b.c", 2),
        ("b.d.1", "y"),
        ("b.e.f", [3, 4]),
        ("b.e.1.f", 4),
        ("b.x", None),
        ("a.c", None),
        ("b.d.7", None),
        ("x.y", "a name with a dot"),
    ],
)
def test_names_reach_inside(name: str, value: object) -> None:
    row = {"a": 1, "b": {"c": 2, "d": ["x", "y"], "e": [{"f": 3}, {"f": 4}]}, "x.y": "a name with a dot"}
    assert lookup(row, name) == value


def test_the_layout_of_verl_and_dapo() -> None:
    row: dict[str, object] = {"data_source": "math_dapo", "prompt": [USER], "ability": "MATH"}
    row |= {"reward_model": {"ground_truth": "7", "style": "rule"}, "extra_info": {"index": "9a9b-eb4"}}
    columns = {"question": "prompt", "answer": "reward_model.ground_truth", "id": "extra_info.index"}
    found = item(row, domain="ability", **columns).problem
    assert (found.question, found.answer, found.domain, found.id) == ("What is 3 + 4?", "7", "MATH", "x:9a9b-eb4")


def test_the_layout_of_prm800k() -> None:
    steps = [{"completions": [{"text": text, "rating": rating}]} for text, rating in (("a", 1), ("b", 0), ("c", -1))]
    row: dict[str, object] = {
        "question": {"problem": "What is 3 + 4?", "ground_truth_answer": "7"},
        "label": {"steps": steps, "finish_reason": "found_error"},
    }
    columns = {"question": "question.problem", "answer": "question.ground_truth_answer"}
    written = "label.steps.completions.0"
    found = item(row, **columns, steps=f"{written}.text", ratings=f"{written}.rating")
    assert (found.problem.question, found.problem.answer) == ("What is 3 + 4?", "7")
    assert found.solutions[0].steps == ("a\n\n", "b\n\n", "c")
    assert found.solutions[0].people == PeopleLabel(first_error=2, ratings=(1, 0, -1))


@pytest.mark.parametrize(
    "messages",
    [
        CHAT,
        [{"from": "human", "value": "What is 3 + 4?"}, {"from": "gpt", "value": "3 + 4 = 7"}],
        [
            {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "3 + 4?"}]},
            CHAT[2],
        ],
    ],
)
def test_messages_hold_the_question_and_the_solution(messages: list[object]) -> None:
    found = item({"messages": messages}, question="messages", solution="messages")
    assert found.problem.question == "What is 3 + 4?"
    assert [solution.text for solution in found.solutions] == ["3 + 4 = 7"]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([USER, CHAT[2], USER], "2 user turns"),
        ([CHAT[2]], "0 user turns"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "more than text"),
        ([{"role": "user", "content": None}], "more than text"),
        ([], "a list, not text"),
    ],
)
def test_messages_that_ask_no_one_question_are_refused(messages: list[object], message: str) -> None:
    with pytest.raises(BadInput, match=rf"row 1, question \(column 'messages'\).*{message}"):
        item({"messages": messages}, question="messages")


def test_several_solutions_in_a_row() -> None:
    assert [s.text for s in item({"s": ["a", "b"]}, solution="s").solutions] == ["a", "b"]
    assert [s.text for s in item({"s": [CHAT, CHAT]}, solution="s").solutions] == ["3 + 4 = 7"] * 2
    assert [s.steps for s in item({"s": [["a", "b"], ["c"]]}, steps="s").solutions] == [("a\n\n", "b"), ("c",)]
    assert item({"s": []}, solution="s").solutions == ()
    assert item({"s": None}, solution="s").solutions == ()
    for field, value in (("solution", ["a", 7]), ("steps", [["a"], "b"]), ("steps", [["a"], [7]])):
        with pytest.raises(BadInput, match=f"row 1, {field}"):
            item({"s": value}, **{field: "s"})


def test_other_columns_are_kept_as_text() -> None:
    row: dict[str, object] = {"model": "m1", "score": 0.5, "meta": {"a": [1, "é"]}, "none": None}
    kept = item(row, keep=["model", "score", "meta.a", "none"]).problem.kept
    assert [(k.name, k.value) for k in kept] == [("model", "m1"), ("score", "0.5"), ("meta.a", '[1, "é"]')]


STEPS: dict[str, object] = {"s": ["a", "b", "c"]}


@pytest.mark.parametrize(("value", "first"), [(1, 1), (0, 0), (-1, None), ("2", 2), (" -1", None), (2.0, 2)])
def test_the_first_error_as_people_say(value: object, first: int | None) -> None:
    (solution,) = item({**STEPS, "label": value}, steps="s", first_error="label").solutions
    assert solution.people == PeopleLabel(first_error=first)


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ([1, 0, -1], PeopleLabel(first_error=2, ratings=(1, 0, -1))),
        ([1, -1], PeopleLabel(first_error=1, ratings=(1, -1))),
        ([None, 1, -1], PeopleLabel(first_error=2, ratings=(None, 1, -1))),
        ([1, 1, 0], PeopleLabel(ratings=(1, 1, 0))),
        ([1, 1], None),
        ([1, None, 1], None),
        (None, None),
    ],
)
def test_ratings_of_steps(value: object, people: PeopleLabel | None) -> None:
    (solution,) = item({**STEPS, "r": value}, steps="s", ratings="r").solutions
    assert solution.people == people


@pytest.mark.parametrize(
    ("value", "start"), [([2, 5], 2), ([[7, 9], [3, 4]], 3), ({"start": 1, "end": 2}, 1), ([], None)]
)
def test_spans_of_characters(value: object, start: int | None) -> None:
    (solution,) = item({"s": "0123456789", "e": value}, solution="s", error_span="e").solutions
    assert solution.people == PeopleLabel(error_start=start)


def test_labels_of_several_solutions_go_with_them() -> None:
    row: dict[str, object] = {"s": [["a"], ["b", "c"]], "label": [-1, 1]}
    found = item(row, steps="s", first_error="label").solutions
    assert [s.people for s in found] == [PeopleLabel(), PeopleLabel(first_error=1)]
    with pytest.raises(BadInput, match="one entry for each of the 2"):
        item({**row, "label": [1]}, steps="s", first_error="label")


@pytest.mark.parametrize(
    ("settings", "value", "message"),
    [
        ({"first_error": "l"}, 3, "names step 3 .*of 3"),
        ({"first_error": "l"}, -2, "not the 0-based number"),
        ({"first_error": "l"}, 1.5, "not the 0-based number"),
        ({"first_error": "l"}, True, "not the 0-based number"),
        ({"ratings": "l"}, [1, 2, 1], "list of -1, 0, 1 and null"),
        ({"ratings": "l"}, 1, "list of -1, 0, 1 and null"),
        ({"ratings": "l"}, [1] * 4, "4 ratings for 3 steps"),
    ],
)
def test_labels_that_cannot_be_are_refused(settings: dict[str, str], value: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        item({**STEPS, "l": value}, steps="s", **settings)


def test_spans_outside_the_text_are_refused() -> None:
    for span in ([10, 12], [-1, 2], ["a", "b"], {"end": 3}, [[1, 2], 7], [[]], [[1, 2], []]):
        with pytest.raises(BadInput, match="error_span"):
            item({"s": "0123456789", "e": span}, solution="s", error_span="e")


def test_a_label_is_put_on_the_steps_of_the_cut() -> None:
    steps = ["abc\n", "def\n", "ghi"]
    found = [on_steps(PeopleLabel(error_start=i), steps).first_error for i in (0, 2, 3, 4, 7, 8, 10)]
    assert found == [0, 0, 1, 1, 2, 2, 2]  # 3 and 7 are the line breaks before what was marked
    assert on_steps(PeopleLabel(), steps).first_error is None
    assert on_steps(PeopleLabel(first_error=2), steps).first_error == 2
    for label in (PeopleLabel(first_error=3), PeopleLabel(first_error=0, ratings=(-1, 1, 1, 1))):
        with pytest.raises(LabelMismatch, match=r"step 4.*cut into 3"):
            on_steps(label, steps)
