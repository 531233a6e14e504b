"""What the rows of each export say, read back as its readers read them."""

import re

import pytest
from exported_rows import ROWS, STEPWISE, rows_of
from scripted_rows import scripted_rows

from stepforge.labelers import OmegaPRM
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.exports import (
    KTO,
    MathShepherdText,
    ProcessBench,
    QwenPRM,
    RejectionSampling,
    RLHFlow,
    SoftStepwise,
    Stepwise,
)


def test_math_shepherd_text_reads_back() -> None:
    rows = rows_of(MathShepherdText())
    assert rows
    for row in rows:
        source = STEPWISE[row.solution_id]
        pieces = row.input.removeprefix(f"{source.prompt} ").split(" \u043a\u0438")
        assert pieces.pop() == ""
        steps = tuple(re.sub(r"^\n?Step \d+: ", "", piece) for piece in pieces)
        assert steps == source.completions
        assert row.label == source.prompt + " " + "".join(
            f"{piece} {'+' if right else '-'}" for piece, right in zip(pieces, source.labels, strict=True)
        )
        assert row.task == "quantities"


def test_steps_that_are_numbered_already_are_left_alone() -> None:
    assert MathShepherdText().text("Q", ("Step 1: a", "b"), ("+", "-")) == "Q Step 1: a +\nStep 2: b -"


def test_soft_values_are_the_shares_of_a_fixed_number() -> None:
    rows = rows_of(SoftStepwise())
    assert rows
    for row in rows:
        assert row.input.count("\u043a\u0438") == len(row.value)
        assert row.value == STEPWISE[row.solution_id].values[: len(row.value)]
    assert {value for row in rows for value in row.value} - {0.0, 1.0}


def test_a_soft_row_ends_before_the_first_unknown_value() -> None:
    problems = scripted_rows([OmegaPRM(grow=False)], 12)
    stepwise = {row.solution_id: row for row in rows_of(Stepwise(), problems)}
    for row in rows_of(SoftStepwise(), problems):
        values = stepwise[row.solution_id].values
        assert row.value == values[: len(row.value)]
        assert len(row.value) == len(values) or values[len(row.value)] is None


@pytest.mark.parametrize("part", [MathShepherdText(), SoftStepwise(), QwenPRM()], ids=lambda part: part.kind)
def test_a_solution_that_holds_the_step_token_is_left_out(part: MathShepherdText | SoftStepwise | QwenPRM) -> None:
    problem = ROWS[0]
    token = part.step_end
    first = problem.solutions[0]
    steps = (first.rollout.steps[0].model_copy(update={"text": f"a {token} b\n"}), *first.rollout.steps[1:])
    spoiled = first.model_copy(update={"rollout": first.rollout.model_copy(update={"steps": steps})})
    solutions = (spoiled, *problem.solutions[1:])
    rows = rows_of(part, [problem.model_copy(update={"solutions": solutions})])
    assert rows
    assert first.rollout.id not in {row.solution_id for row in rows}
    question = problem.problem.model_copy(update={"question": f"? {token}"})
    assert rows_of(part, [problem.model_copy(update={"problem": question})]) == []


def test_qwen_messages_have_a_label_a_mark() -> None:
    for row in rows_of(QwenPRM()):
        source = STEPWISE[row.solution_id]
        assert [turn.role for turn in row.messages] == ["system", "user", "assistant"]
        assert row.messages[1].content == source.prompt
        *steps, rest = row.messages[2].content.split("<extra_0>")
        assert rest == ""
        assert tuple(steps) == source.completions
        assert row.labels == tuple(map(int, source.labels))


def test_rlhflow_conversations_read_back() -> None:
    for row in rows_of(RLHFlow()):
        source = STEPWISE[row.solution_id]
        asked, said = row.conversations[::2], row.conversations[1::2]
        assert {turn.role for turn in asked} == {"user"}
        assert asked[0].content == f"{source.prompt} {source.completions[0]}"
        assert tuple(turn.content for turn in asked[1:]) == source.completions[1:]
        assert tuple(turn.content == "+" for turn in said) == source.labels
        assert list(row.model_dump()["conversations"][0]) == ["content", "role"]


def test_process_bench_has_the_oracles_labels_and_no_labelers() -> None:
    rows = rows_of(ProcessBench())
    truths = {s.rollout.id: oracle_verdict(problem.problem, s.rollout) for problem in ROWS for s in problem.solutions}
    assert {row.label for row in rows} >= {-1, 1, 2}
    for row in rows:
        truth = truths[row.id.removeprefix("quantities-")]
        assert row.label == (-1 if truth.first_error is None else truth.first_error)
        assert row.final_answer_correct or row.label >= 0
        assert row.label < len(row.steps)
    assert len({row.id for row in rows}) == len(rows)
    untold = [p.model_copy(update={"problem": p.problem.model_copy(update={"truth": None})}) for p in ROWS]
    assert rows_of(ProcessBench(), untold) == []


def test_kto_and_rejection_sampling_keep_what_is_sure() -> None:
    solutions = {s.rollout.id: s for problem in ROWS for s in problem.solutions}
    kto, kept = rows_of(KTO()), rows_of(RejectionSampling())
    assert {row.label for row in kto} == {True, False}
    for row in kto:
        solution = solutions[row.solution_id]
        assert row.completion == solution.rollout.text
        assert row.label == (solution.rollout.outcome == "correct")
        assert not row.label or solution.verdict.finds_no_error
    assert {row.solution_id for row in kept if row.labeled} == {row.solution_id for row in kto if row.label}
    assert all(len(list(RejectionSampling(max_per_problem=1).rows(problem))) <= 1 for problem in ROWS)
