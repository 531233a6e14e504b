"""Verification chains and critiques: they agree with the labels, whoever wrote them."""

import re
from typing import Any

import pytest
from exported_rows import ROWS, STEPWISE, rows_of

from stepforge.labelers import Judge
from stepforge.pipelines.exports import Verification
from stepforge.pipelines.exports.verification import judged_critiques, worked_critiques
from stepforge.schemas.problem import Problem, Quantity, Truth
from stepforge.schemas.rollout import Step


@pytest.mark.parametrize("style", ["think_prm", "gen_prm"])
def test_verification_chains_agree_with_the_labels(style: Any) -> None:
    rows = rows_of(Verification(style=style))
    assert rows
    for row in rows:
        said = " ".join(turn.content for turn in row.messages if turn.role == "assistant")
        verdicts = re.findall(r"\\boxed\{(\w+)\}", said)
        assert [v in ("correct", "Yes") for v in verdicts] == list(row.labels)
        assert row.labels == STEPWISE[row.solution_id].labels
        assert row.critique_from == "truth"
    assert {False in row.labels for row in rows} == {True, False}


def test_chains_that_contradict_a_label_are_left_out() -> None:
    """Where the labeler names another step than the truth, nothing is exported."""
    problem = next(p for p in ROWS if any(s.verdict.first_error is not None for s in p.solutions))
    moved = []
    for solution in problem.solutions:
        error = solution.verdict.first_error
        wrong = None if error is not None else 0
        moved.append(
            solution.model_copy(update={"verdict": solution.verdict.model_copy(update={"first_error": wrong})})
        )
    assert rows_of(Verification(), [problem.model_copy(update={"solutions": tuple(moved)})]) == []


def test_critiques_worked_out_from_the_truth() -> None:
    quantities = (
        Quantity(name="A", expression="", value="3"),
        Quantity(name="B", expression="2 * 3", value="6"),
    )
    problem = Problem(
        id="p", source="s", domain="d", question="?", answer="6", answer_kind="integer", group="g",
        truth=Truth(quantities=quantities),
    )  # fmt: skip
    lines = ("A = 3", "B = 2 * 3 = 7", "B = 5", "C = 1", "Answer: 6", "Wait: B = 2 * 3 = 6")
    critiques = worked_critiques(problem, [Step(text=f"{line}\n") for line in lines])
    assert critiques == (
        "A is 3. The step says 3.",
        "2 * 3 comes to 6, and the step says 7.",
        "B should be 2 * 3 = 6. The step says 5.",
        "The problem has no quantity called C.",
        "Answer is 6. The step says 6.",
        "B is 2 * 3 = 6. The step says 6.",
    )
    assert worked_critiques(problem, [Step(text="A = 3\nB = 6\n")]) is None
    assert worked_critiques(problem, [Step(text="so it goes\n")]) is None


@pytest.mark.parametrize(
    "words",
    [
        "<1>\nfine\n<2>\noff by one\nWrong step: 2",
        "Step 1: fine\nStep 2: off by one\nWrong step: 2",
        "## Step 1: fine\n\n## Step 2: off by one\n\nWrong step: 2",
        "1. fine\n2. off by one\nWrong step: 2",
    ],
)
def test_a_judges_words_are_cut_by_step(words: str) -> None:
    assert judged_critiques(words, 2) == ("fine", "off by one")
    assert judged_critiques(words, 3) is None
    assert judged_critiques(words.replace("2", "3"), 2) is None


def test_a_judges_chain_is_preferred_where_it_agrees() -> None:
    problem = next(p for p in ROWS if p.solutions[0].verdict.first_error == 1)
    words = "Step 1: as given.\nStep 2: should be more.\nWrong step: 2"
    own = problem.solutions[0]
    judge = own.verdict.model_copy(update={"labeler": Judge().name, "critique": words})
    solutions = (own.model_copy(update={"others": (judge,)}), *problem.solutions[1:])
    row = next(iter(Verification().rows(problem.model_copy(update={"solutions": solutions}))))
    assert row.critique_from == "judge"
    assert row.messages[1].content == (
        "Step 1: as given. The step is \\boxed{correct}.\n\nStep 2: should be more. The step is \\boxed{incorrect}."
    )
