"""The sequential test by hand, and its bisection on policies whose values are known."""

import asyncio
from math import log

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved

from stepforge.labelers import SPRT, OmegaPRM
from stepforge.labelers.evidence.store import Evidence, solution_trajectory
from stepforge.labelers.sprt import base_ratio, two_values
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import SolvedProblem

LETTERS = "ABCDEFGH"
GOOD = a_solution("good", "abcdefgh", "correct")
ROW = solved(GOOD, a_solution("bad", LETTERS, "wrong"))


def breaks_at(error: int, alive: float, lost: float) -> KnownPolicy:
    def value(prefix: str) -> float:
        written = prefix.replace("\n", "")
        shared = next((n for n in range(8) if written[: n + 1] != LETTERS[: n + 1]), 8)
        return lost if shared > error else alive

    return KnownPolicy(value)


def run(part: SPRT | OmegaPRM, row: SolvedProblem, policy: KnownPolicy, seed: int) -> LabeledProblem:
    return asyncio.run(part(row, policy, EqualGrader(), seed=seed))


def test_the_ratio_by_hand() -> None:
    evidence = Evidence(ROW, KnownPolicy(lambda prefix: 1.0), EqualGrader(), 0)
    ratio = base_ratio(evidence)  # one of two is right: v1 = 0.4, v0 = 0.1
    assert ratio.success == pytest.approx(log(4))
    assert ratio.failure == pytest.approx(log(0.6 / 0.9))
    path = solution_trajectory(ROW.rollouts[1])
    asyncio.run(evidence.more(path, 2, 3))
    seen = evidence.label(path, 2)
    assert seen is not None
    assert ratio.of(seen) == pytest.approx(3 * log(4))


def test_a_prefix_is_settled_as_soon_as_the_odds_are_six_to_one() -> None:
    always = run(SPRT(root=2), ROW, KnownPolicy(lambda prefix: 1.0), 0)
    counts = {label.trials for label in always.solutions[1].labels[:-1] if label is not None}
    assert counts == {2}  # 2 ln 4 > ln 6 > ln 4
    assert always.solutions[1].verdict.first_error == 7
    never = run(SPRT(root=2), ROW, KnownPolicy(lambda prefix: 0.0), 0)
    counts = {label.trials for label in never.solutions[1].labels[:-1] if label is not None}
    assert counts == {5}  # 5 ln 1.5 > ln 6 > 4 ln 1.5
    assert never.solutions[1].verdict.first_error == 0


def test_no_prefix_takes_more_than_most() -> None:
    for seed in range(10):
        labeled = run(SPRT(odds=1000, most=7), ROW, breaks_at(3, 0.4, 0.2), seed)
        known = [label.trials for label in labeled.solutions[1].labels[:-1] if label is not None]
        assert known
        assert set(known) == {7}


def test_it_names_errors_that_any_success_misses_where_the_policy_recovers() -> None:
    ours = theirs = 0
    for seed in range(60):
        policy = breaks_at(seed % 8, 0.8, 0.15)
        row = solved(GOOD, GOOD.model_copy(update={"id": "too"}), a_solution("bad", LETTERS, "wrong"))
        ours += run(SPRT(), row, policy, seed).solutions[2].verdict.first_error == seed % 8
        rival = OmegaPRM(k=8, grow=False, curtailed=True)
        theirs += run(rival, row, policy, seed).solutions[2].verdict.first_error == seed % 8
    assert ours >= 0.6 * 60
    assert ours > theirs + 10


def test_right_and_truncated_solutions_are_not_asked_about() -> None:
    policy = KnownPolicy(lambda prefix: 0.5)
    labeled = run(SPRT(), solved(GOOD, a_solution("cut", "ABC", "undetermined")), policy, 0)
    assert not policy.asked
    assert labeled.solutions[0].verdict.finds_no_error
    assert labeled.solutions[1].verdict.abstained


@pytest.mark.parametrize("budget", [0, 1, 5])
def test_a_search_keeps_its_budget_and_has_no_verdict_where_it_ends_too_early(budget: int) -> None:
    policy = breaks_at(4, 0.7, 0.05)
    evidence = Evidence(ROW, policy, EqualGrader(), 0)
    verdict = asyncio.run(SPRT().search(solution_trajectory(ROW.rollouts[1]), evidence, budget))
    assert sum(policy.asked.values()) == budget
    assert verdict.abstained


def test_the_likeliest_of_two_values_is_where_stored_completions_turn() -> None:
    evidence = Evidence(ROW, breaks_at(4, 1.0, 0.0), EqualGrader(), 0)
    path = solution_trajectory(ROW.rollouts[1])
    for count in (2, 4, 5, 7):
        asyncio.run(evidence.more(path, count, 3))
    found = two_values(path, evidence)
    assert sum(found) == pytest.approx(1.0)
    assert max(range(9), key=found.__getitem__) == 4
