"""Rows as conversations: no template of the policy's, reasoning where it is wanted, the columns of each consumer."""

import json
from typing import Any

import pytest
from exported_rows import ROWS

from stepforge.pipelines.exports import (
    KTO,
    Pairwise,
    Preference,
    Reflection,
    RejectionSampling,
    ShortLong,
    StepPreference,
)
from stepforge.pipelines.exports.chat import Chat, said, turn
from stepforge.pipelines.reports.card.training_notes import training_note
from stepforge.schemas.arrow import to_table
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Step

POLICY_PARTS: tuple[type[Chat], ...] = (
    KTO,
    Pairwise,
    Preference,
    Reflection,
    RejectionSampling,
    ShortLong,
    StepPreference,
)
MARK = "<|template|>"


def templated(problem: LabeledProblem) -> LabeledProblem:
    policy = problem.policy.model_copy(update={"prompt": f"{MARK}{{question}}{MARK}"})
    return problem.model_copy(update={"policy": policy})


TEMPLATED = [templated(problem) for problem in ROWS[:10]]


def rows_of(part: Chat) -> list[dict[str, Any]]:
    return [row.model_dump() for problem in TEMPLATED for row in part.rows(problem)]


@pytest.mark.parametrize("layout", ["trl", "llama_factory", "ms_swift", "nemo_rl"])
@pytest.mark.parametrize("kind", POLICY_PARTS, ids=lambda part: part().kind)
def test_no_conversation_has_the_policys_template(kind: type[Chat], layout: str) -> None:
    plain = rows_of(kind())
    chat = rows_of(kind.model_validate({"kind": kind().kind, "chat": True, "layout": layout}))
    assert plain
    assert len(chat) == len(plain)
    assert all(MARK in row["prompt"] for row in plain)
    assert MARK not in str(chat)
    questions = {problem.problem.id: problem.problem.question for problem in ROWS}
    for before, after in zip(plain, chat, strict=True):
        asked = after.get("prompt") or after.get("messages") or after["context"]
        assert asked[0] | {"loss": None} == {
            "role": "user",
            "content": questions[before["problem_id"]],
            "loss": None,
        }
        assert after["solution_id"] == before["solution_id"]


def test_the_answers_of_a_step_pair_share_their_prefix_and_go_on_to_an_end() -> None:
    plain, chat = rows_of(StepPreference()), rows_of(StepPreference(chat=True))
    for before, after in zip(plain, chat, strict=True):
        prefix = before["prompt"].rpartition(MARK)[2]
        assert list(after["chosen"]) == [{"role": "assistant", "content": prefix + before["full_chosen"]}]
        assert list(after["rejected"]) == [{"role": "assistant", "content": prefix + before["full_rejected"]}]
    for before, after in zip(rows_of(Pairwise()), rows_of(Pairwise(chat=True)), strict=True):
        assert after["chosen"][0]["content"].endswith(before["chosen"])


def test_each_consumer_finds_its_columns() -> None:
    (pair, *_) = rows_of(Preference(chat=True, layout="nemo_rl"))
    assert [entry["rank"] for entry in pair["completions"]] == [0, 1]
    (pair, *_) = rows_of(Preference(chat=True, layout="ms_swift"))
    assert pair["messages"][:-1] == pair["rejected_messages"][:-1]
    (pair, *_) = rows_of(Preference(chat=True, layout="llama_factory"))
    assert pair["chosen"]["role"] == pair["rejected"]["role"] == "assistant"
    (row, *_) = rows_of(KTO(chat=True, layout="ms_swift"))
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
    assert row["label"] is True


def test_nothing_is_learned_from_the_wrong_steps_of_a_reflection() -> None:
    plain, chat = rows_of(Reflection()), rows_of(Reflection(chat=True))
    for before, after in zip(plain, chat, strict=True):
        asked, wrong, way = after["messages"]
        assert [message["loss"] for message in (asked, wrong, way)] == [False, False, True]
        assert before["prompt"].endswith(wrong["content"])
        assert way["content"] == before["completion"]


@pytest.mark.parametrize("text", ["<think>\nhm\n</think>\n\nso 4", "hm\n</think>\n\nso 4"])
def test_reasoning_goes_where_the_consumer_reads_it(text: str) -> None:
    """Some templates open the thought themselves, so that the policy's text begins inside it."""
    assert turn("assistant", text, "think")["content"] == "<think>\nhm\n</think>\n\nso 4"
    for field in ("reasoning_content", "thinking"):
        assert turn("assistant", text, field) == {"role": "assistant", "content": "so 4", field: "hm"}
        assert turn("assistant", "so 4", field) == {"role": "assistant", "content": "so 4", field: None}
        assert turn("user", text, field)["content"] == text


def test_the_users_and_the_systems_turn_can_be_set() -> None:
    part = RejectionSampling(chat=True, user="Solve: {question}", system="Think.", reasoning="thinking")
    (row, *_) = rows_of(part)
    assert row["prompt"][0] == {"role": "system", "content": "Think.", "thinking": None}
    assert row["prompt"][1]["content"].startswith("Solve: ")


def test_a_calculators_answers_are_turns_of_their_own() -> None:
    steps = (
        Step(text="cards = <<24 * 37>>"),
        Step(text=" = 888\n", author="tool"),
        Step(text="boxes = 8\n"),
        Step(text="Answer: 111"),
    )
    plain, calls = list(said(steps, "think")), list(said(steps, "think", calls=True))
    assert [turn["role"] for turn in plain] == [turn["role"] for turn in calls] == ["assistant", "tool", "assistant"]
    assert "".join(turn["content"] for turn in plain) == "".join(step.text for step in steps)
    assert calls[0]["content"] == "cards = "
    assert calls[0]["tool_calls"][0]["function"] == {"name": "calculator", "arguments": {"expression": "24 * 37"}}
    assert calls[1]["content"] == "888"
    solution = TEMPLATED[0].solutions[0]
    rollout = solution.rollout.model_copy(update={"steps": steps, "outcome": "correct"})
    problem = TEMPLATED[0].model_copy(update={"solutions": (solution.model_copy(update={"rollout": rollout}),)})
    (row,) = KTO(chat=True, tools=True).rows(problem)
    columns = row.model_dump()
    assert json.loads(columns["tools"])[0]["function"]["name"] == "calculator"
    assert columns["completion"][0]["tool_calls"] is not None
    assert to_table([row], KTO(chat=True, tools=True).row_class).num_rows == 1
    (other, *_) = KTO(chat=True, tools=True).rows(TEMPLATED[1])
    assert other.model_dump()["tools"] is None


def test_the_cards_note_of_conversations_names_their_layout() -> None:
    note = training_note(Preference(name="pairs", chat=True, layout="ms_swift"))
    assert "`ms_swift`" in note.text
    assert 'load_dataset("path/of/this/folder", "pairs"' in note.text
    assert "DPOTrainer" not in note.text
