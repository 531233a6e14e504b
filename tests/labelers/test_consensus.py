"""Critiques that another labeler supports, and what several labelers say together."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fakes import EqualGrader, a_problem, a_solution, solved, verdict_of
from scripted_judge import BAD, VOTES, Scripted, said, written

from stepforge.labelers import Consensus, Judge, MathShepherd, Oracle, label_with_all
from stepforge.labelers.consensus import DISAGREE
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.problem import Quantity, Truth
from stepforge.schemas.protocols import Completion
from stepforge.schemas.rollout import SolvedProblem

# With other labelers: critiques are checked, and consensus speaks about the verdicts.


def all_labels(parts: Sequence[Any], policy: Scripted, row: SolvedProblem | None = None) -> LabeledProblem:
    row = row or solved(a_solution("good", "a", "correct"), BAD)
    return asyncio.run(label_with_all(parts, row, policy, EqualGrader(), seed=0))


def lost_from(letter: str, *answers: Completion) -> Scripted:
    return Scripted(*answers, value=lambda prefix: 0.0 if letter in prefix else 1.0)


def by_labeler(solution: LabeledSolution) -> dict[str, Verdict]:
    return {v.labeler: v for v in (solution.verdict, *solution.others)}


@pytest.mark.parametrize("parts", [(MathShepherd(k=4), Judge()), (Judge(), MathShepherd(k=4))])
@pytest.mark.parametrize(("vote", "kept"), [("3", True), ("2", False), ("none", False)])
def test_a_critique_is_kept_where_a_labeler_names_the_same_step(
    parts: tuple[MathShepherd | Judge, ...], vote: str, kept: bool
) -> None:
    labeled = all_labels(parts, lost_from("C", said(VOTES[vote])), solved(BAD))
    found = by_labeler(labeled.solutions[0])
    assert found["math_shepherd"].first_error == 2
    assert found["judge"].critique == (VOTES[vote] if kept else None)
    assert [v.labeler for v in (labeled.solutions[0].verdict, *labeled.solutions[0].others)] == [p.name for p in parts]


def test_a_critique_is_kept_where_both_find_nothing() -> None:
    good = solved(a_solution("good", "abcd", "correct"))
    labeled = all_labels([MathShepherd(k=4), Judge()], lost_from("C", said(VOTES["none"])), good)
    assert by_labeler(labeled.solutions[0])["judge"].critique == VOTES["none"]
    labeled = all_labels([MathShepherd(k=4), Judge()], lost_from("C", said(VOTES["1"])), good)
    assert by_labeler(labeled.solutions[0])["judge"].critique is None


def test_an_abstention_supports_nothing() -> None:
    policy = Scripted(said(VOTES["none"]))
    policy.truncated = lambda prefix: True
    labeled = all_labels([MathShepherd(k=4), Judge()], policy, solved(BAD))
    found = by_labeler(labeled.solutions[0])
    assert found["math_shepherd"].abstained
    assert found["judge"].finds_no_error
    assert found["judge"].critique is None


TRUE = a_problem().model_copy(
    update={"truth": Truth(quantities=(Quantity(name="a", expression="", value="1"),)), "answer": "1"}
)


def test_neither_the_oracle_nor_a_consensus_nor_the_judge_itself_supports_a_critique() -> None:
    bad = written("bad", "a = 1\n", "a = 2\n", "Answer: 2")
    policy = Scripted(said(VOTES["2"]))
    labeled = all_labels([Judge(), Oracle(), Consensus(of=("judge",))], policy, solved(bad, problem=TRUE))
    found = by_labeler(labeled.solutions[0])
    assert [found[name].first_error for name in ("judge", "oracle", "consensus")] == [1, 1, 1]
    assert all(v.critique is None for v in found.values())


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("vote", "agree"), [("3", True), ("1", False), ("none", False), ("?", False)])
def test_a_consensus_in_the_list(first: bool, vote: str, agree: bool) -> None:
    parts = [MathShepherd(k=4), Judge()]
    ordered = [Consensus(), *parts] if first else [*parts, Consensus()]
    policy = lost_from("C", said(VOTES.get(vote, vote)))
    labeled = all_labels(ordered, policy)
    solution = labeled.solutions[1]
    assert [v.labeler for v in (solution.verdict, *solution.others)] == [part.name for part in ordered]
    verdict = by_labeler(solution)["consensus"]
    assert verdict.abstained != agree
    assert verdict.first_error == (2 if agree else None)
    if not agree:
        opinion = {"1": "step 1", "none": "no error", "?": "abstains"}[vote]
        assert verdict.reason == f"{DISAGREE}: math_shepherd step 3, judge {opinion}"
    # Evidence and labels are the first labeler's, and a consensus costs nothing
    assert [entry.labeler for entry in labeled.costs] == ["math_shepherd", "judge"]
    assert [label is not None for label in solution.labels] == [True] * 4
    assert labeled.evidence


def test_a_consensus_ignores_the_oracle_unless_it_is_asked_for() -> None:
    verdicts = [verdict_of("a", 1), verdict_of("b", 1), verdict_of("oracle", 2)]
    assert Consensus().combine(verdicts).first_error == 1
    assert Consensus(of=("a", "oracle")).combine(verdicts).abstained
    assert Consensus(of=("b",)).combine(verdicts).first_error == 1
    verdicts = [verdict_of("a", 1), verdict_of("b", 2), verdict_of("c", 1)]
    assert Consensus().combine(verdicts).abstained
    assert Consensus(of=("a", "c")).combine(verdicts).first_error == 1


def test_a_consensus_of_no_error_and_of_abstentions() -> None:
    assert Consensus().combine([verdict_of("a"), verdict_of("b")]).finds_no_error
    both = Consensus().combine([verdict_of("a", abstained=True), verdict_of("b", abstained=True)])
    assert both.abstained
    one = Consensus().combine([verdict_of("a"), verdict_of("b", abstained=True)])
    assert one.abstained
    assert one.reason == f"{DISAGREE}: a no error, b abstains"
    assert Consensus(of=("nobody",)).combine([verdict_of("a")]).abstained
