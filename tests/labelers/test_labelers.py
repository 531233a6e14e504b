"""Labelers against policies whose values are known, and formulas against numbers worked by hand."""

import asyncio
from math import isclose, sqrt

import pytest
from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved
from hypothesis import given
from hypothesis import strategies as st

from stepforge.labelers import MathShepherd, OmegaPRM
from stepforge.labelers.evidence.store import Evidence, Trajectory, solution_trajectory
from stepforge.labelers.omega_prm import Exploration, Tree, rollout_quality, state_bonus
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import LabeledProblem, StepLabel
from stepforge.schemas.rollout import SUPPLIED, SolvedProblem


def breaks_at(solution: str, error: int, value: float = 0.5) -> KnownPolicy:
    """A policy with V = value before step ``error`` of the solution, and 0 once that step is in the prefix."""
    broken = "".join(f"{letter}\n" for letter in solution[: error + 1])
    return KnownPolicy(lambda prefix: 0.0 if prefix.startswith(broken) else value)


def run(labeler: MathShepherd | OmegaPRM, row: SolvedProblem, policy: KnownPolicy, seed: int = 0) -> LabeledProblem:
    return asyncio.run(labeler(row, policy, EqualGrader(), seed=seed))


def test_quality_is_equation_2_by_hand() -> None:
    # alpha^(1 - MC) * beta^(len / L) = 0.5^0.75 * 0.9^(250 / 500) = 0.5946035575 * 0.9486832981
    assert isclose(rollout_quality(0.25, 250, Exploration()), 0.56409046, abs_tol=1e-8)
    assert rollout_quality(1.0, 0, Exploration()) == 1.0


def test_bonus_is_equation_3_by_hand() -> None:
    # c_puct * sqrt(sum N) / (1 + N(s)) = 0.125 * sqrt(9) / (1 + 2)
    assert state_bonus(2, 9, Exploration()) == 0.125
    assert state_bonus(0, 0, Exploration()) == 0.0


def test_wilson_by_hand() -> None:
    # Half-width at 8 trials without a success: upper end z^2 / (n + z^2) = 3.8415 / 11.8415
    low, high = wilson(0, 8)
    assert low == 0.0
    assert isclose(high, 0.3244, abs_tol=1e-4)
    low, high = wilson(4, 8)
    assert isclose((high - low) / 2, 0.2848, abs_tol=1e-4)
    with pytest.raises(ValueError, match="9 successes in 8 trials"):
        wilson(9, 8)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


def test_bisection_asks_at_most_log2_prefixes_and_never_the_whole_solution() -> None:
    letters = "ABCDEFGHIJKLMNOP"
    row = solved(a_solution("good", "a", "correct"), a_solution("bad", letters, "wrong"))
    policy = breaks_at(letters, 10)
    run(OmegaPRM(k=8, search_limit=1), row, policy)
    assert len(policy.asked) == 4
    assert "".join(f"{letter}\n" for letter in letters) not in policy.asked
    assert set(policy.asked.values()) == {8}


def test_no_prefix_is_estimated_twice_in_a_whole_tree() -> None:
    row = solved(
        a_solution("good", "abcd", "correct"),
        a_solution("bad", "ABCDEFGH", "wrong"),
        a_solution("bad2", "ABCDxyz", "wrong"),
    )
    for labeler in (MathShepherd(k=4), OmegaPRM(k=4, search_limit=50)):
        policy = KnownPolicy(lambda prefix: 0.5)
        labeled = run(labeler, row, policy)
        assert set(policy.asked.values()) == {4}
        assert labeled.costs[0].cost.rollouts == sum(policy.asked.values()) == len(labeled.evidence)


def test_a_selected_rollout_leaves_the_pool_and_visits_count_selections() -> None:
    tree = Tree(Exploration())
    half = StepLabel(successes=1, failures=1)
    paths = [Trajectory(name, (), "wrong", tokens) for name, tokens in (("short", 10), ("long", 400))]
    state = tree.add("", 0, half, paths)
    assert [tree.select()[1].rollout for _ in range(2)] == ["short", "long"]  # type: ignore[index]
    assert tree.select() is None
    assert state.visits == 2


def test_priorities_are_refreshed_over_the_whole_pool() -> None:
    # Both states hold equal rollouts. After the first was visited once, U is 0.125 * 1 / 2 there and 0.125 * 1 / 1
    # in the other: the next selection must leave it, though it came first.
    tree = Tree(Exploration())
    half = StepLabel(successes=1, failures=1)
    first = tree.add("a", 1, half, [Trajectory(f"a{i}", (), "wrong", 10) for i in range(2)])
    second = tree.add("b", 1, half, [Trajectory(f"b{i}", (), "wrong", 10) for i in range(2)])
    selected = [tree.select()[1].rollout for _ in range(3)]  # type: ignore[index]
    assert selected[:2] == ["a0", "b0"]
    assert (first.visits, second.visits) == (2, 1)
    assert isclose(state_bonus(1, 1, tree.constants), 0.0625)
    assert isclose(state_bonus(1, 2, tree.constants), 0.125 * sqrt(2) / 2)


def test_a_state_without_a_success_is_not_searched() -> None:
    tree = Tree(Exploration())
    tree.add("a", 1, StepLabel(successes=0, failures=8), [Trajectory("r", (), "wrong", 1)])
    assert tree.select() is None


def test_a_supplied_wrong_solution_is_searched_where_the_policy_never_fails() -> None:
    row = solved(a_solution("bad", "ABCDEFGH", "wrong").model_copy(update={"tokens": 0}))
    supplied = row.policy.model_copy(update={"model": SUPPLIED})
    row = row.model_copy(update={"policy": supplied, "own": (a_solution("own", "abcd", "correct"),)})
    labeled = run(OmegaPRM(k=4), row, breaks_at("ABCDEFGH", 5, value=1.0))
    assert labeled.solutions[0].verdict.first_error == 5


def test_given_solutions_come_first_unless_told_otherwise() -> None:
    row = solved(
        a_solution("good", "abcd", "correct"),
        a_solution("bad1", "ABCDEFGH", "wrong"),
        a_solution("bad2", "abCDEFGH", "wrong"),
        a_solution("bad3", "abcDEFGH", "wrong"),
    )
    labeled = run(OmegaPRM(k=4, search_limit=3), row, KnownPolicy(lambda prefix: 0.7))
    assert not any(solution.verdict.abstained for solution in labeled.solutions)
    labeled = run(OmegaPRM(k=4, search_limit=2, solutions_first=False), row, KnownPolicy(lambda prefix: 0.7))
    assert sum(solution.verdict.reason == "search limit reached" for solution in labeled.solutions) >= 1


def test_an_unsolved_question_is_an_abstention_and_costs_nothing() -> None:
    policy = KnownPolicy(lambda prefix: 0.5)
    labeled = run(OmegaPRM(), solved(a_solution("bad", "ABC", "wrong")), policy)
    assert labeled.solutions[0].verdict.abstained
    assert labeled.solutions[0].verdict.reason == "no rollout from the question is correct"
    assert not policy.asked


def test_solutions_brought_along_are_not_taken_for_samples_of_the_policy() -> None:
    brought = solved(a_solution("bad", "ABCD", "wrong"))
    brought = brought.model_copy(update={"policy": brought.policy.model_copy(update={"model": "somebody"})})
    policy = breaks_at("ABCD", 2)
    labeled = run(OmegaPRM(k=32), brought, policy)
    assert policy.asked[""] == 32
    assert labeled.solutions[0].verdict.first_error == 2


def test_shared_prefixes_are_drawn_once_and_seeds_do_not_depend_on_order() -> None:
    one, two = a_solution("one", "abC", "wrong"), a_solution("two", "abD", "wrong")

    async def measured(first: Trajectory, second: Trajectory) -> tuple[str, ...]:
        evidence = Evidence(solved(one, two), KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=3)
        await asyncio.gather(evidence.measure(first, 2, 4), evidence.measure(second, 2, 4))
        return tuple(rollout.id for rollout in evidence.rollouts)

    forward = asyncio.run(measured(solution_trajectory(one), solution_trajectory(two)))
    backward = asyncio.run(measured(solution_trajectory(two), solution_trajectory(one)))
    assert forward == backward
    assert len(forward) == 4


def test_a_problem_labels_the_same_twice() -> None:
    row = solved(a_solution("good", "abcd", "correct"), a_solution("bad", "ABCDEFG", "wrong"), problem=a_problem("q"))
    for labeler in (MathShepherd(), OmegaPRM(search_limit=20)):
        results = {run(labeler, row, KnownPolicy(lambda prefix: 0.5)).model_dump_json() for _ in range(3)}
        assert len(results) == 1
