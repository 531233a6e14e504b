"""The search of change_point on known policies: what it asks, what it spends, and where its assumptions are wrong."""

from collections.abc import Sequence
from functools import lru_cache
from math import log
from random import Random
from statistics import mean
from typing import NamedTuple

import pytest
from change_point_worlds import LETTERS, STEPS, Case, World, case, many, observed, run
from fakes import KnownPolicy, a_solution, solved
from hypothesis import given, settings
from hypothesis import strategies as st

from stepforge.labelers import ChangePoint, OmegaPRM
from stepforge.labelers.change_point.check import contradicted
from stepforge.labelers.change_point.model import information, posterior
from stepforge.labelers.change_point.observations import share_left
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, SolvedProblem, Step


class Score(NamedTuple):
    exact: float
    """Share of cases in which the first error is named."""
    confidently_wrong: float
    """Share in which another is."""
    rollouts: float
    """A case."""
    rows: tuple[LabeledProblem, ...]


CASES = 60


@lru_cache
def score(labeler: ChangePoint | OmegaPRM, world: World, cases: int = CASES) -> Score:
    rows, exact, wrong, rollouts = [], 0, 0, 0
    for seed in range(cases):
        row, policy, error = case(world, seed)
        rows.append(run(labeler, row, policy, seed))
        verdict = rows[-1].solutions[1].verdict
        exact += verdict.first_error == error
        wrong += not verdict.abstained and verdict.first_error != error
        rollouts += sum(policy.asked.values())
    return Score(exact / cases, wrong / cases, rollouts / cases, tuple(rows))


BISECTION = OmegaPRM(k=8, grow=False)
"""Charged for the given solutions only; growing its tree it draws some thirty times as many."""


def test_it_finds_the_error_with_fewer_completions_than_bisection() -> None:
    ours, theirs = score(ChangePoint(), World()), score(BISECTION, World())
    assert ours.exact >= 0.9
    assert ours.confidently_wrong <= 0.05
    assert ours.exact > theirs.exact
    assert ours.rollouts < theirs.rollouts


@pytest.mark.parametrize("budget, batch", [(0, 2), (1, 2), (5, 2), (7, 3), (24, 4)])
def test_the_budget_is_kept_and_completions_come_in_batches(budget: int, batch: int) -> None:
    part = ChangePoint(budget=budget, batch=batch, stop=0.999999, least_information=0)
    asked: list[int] = []
    row, policy, _ = case(World(), 3)
    plain = policy.sample

    async def sample(problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        asked.append(n)
        return await plain(problem, prefix, n=n, seed=seed)

    policy.sample = sample  # type: ignore[method-assign]
    labeled = run(part, row, policy)
    assert sum(asked) == budget == labeled.costs[0].cost.rollouts
    assert all(n == batch for n in asked[:-1])
    assert all(n <= batch for n in asked)


def test_no_solution_gets_more_than_the_budget() -> None:
    for seed in range(10):
        row, policy, _ = case(World(alive=0.3, lost=0.15), seed)
        labeled = run(ChangePoint(budget=9), row, policy, seed)
        assert len(labeled.evidence) <= 9
        assert {r.start.rollout for r in labeled.evidence if r.start is not None} <= {"bad"}


def test_right_and_truncated_solutions_are_not_asked_about() -> None:
    policy = KnownPolicy(lambda prefix: 0.5)
    row = solved(a_solution("good", "abcd", "correct"), a_solution("cut", "ABCD", "undetermined"))
    good, cut = run(ChangePoint(), row, policy).solutions
    assert not policy.asked
    assert good.verdict.finds_no_error
    assert cut.verdict.abstained
    assert cut.verdict.posterior is None
    assert [label.belief for label in cut.labels if label is not None and label.belief is not None] == []


def test_the_same_problem_is_labeled_the_same_twice() -> None:
    results = set()
    for _ in range(2):
        row, policy, _ = case(World(jitter=True), 5)
        results.add(run(ChangePoint(), row, policy, seed=11).model_dump_json())
    assert len(results) == 1


def never() -> SolvedProblem:
    wrong = (LETTERS, "IJKLMNOP", "QRSTUVWX")
    return solved(*(a_solution(f"bad{i}", letters, "wrong") for i, letters in enumerate(wrong)))


def test_it_abstains_where_the_policy_never_succeeds() -> None:
    # Failures everywhere are explained by a base rate near 0 as well as by an early error.
    for seed in range(5):
        labeled = run(ChangePoint(), never(), KnownPolicy(lambda prefix: 0.0), seed)
        for solution in labeled.solutions:
            assert solution.verdict.abstained
            assert solution.verdict.posterior is not None
            assert max(solution.verdict.posterior) < ChangePoint().sure


def test_completions_without_a_verdict_are_never_failures() -> None:
    row = solved(a_solution("good", "abcdefgh", "correct"), a_solution("bad", LETTERS, "wrong"))
    policy = KnownPolicy(lambda prefix: 1.0, truncated=lambda prefix: True)
    labeled = run(ChangePoint(), row, policy)
    assert sum(policy.asked.values()) == ChangePoint().budget  # they cost what others cost, and the search ends
    unasked = run(ChangePoint(budget=0), row, KnownPolicy(lambda prefix: 1.0))
    assert labeled.solutions[1].verdict == unasked.solutions[1].verdict
    measured = [label for label in labeled.solutions[1].labels[:-1] if label is not None and label.undetermined]
    assert measured
    assert all(label.trials == 0 for label in measured)


def test_every_step_has_a_belief_and_the_last_is_the_outcome() -> None:
    labeled = score(ChangePoint(), World()).rows[0]
    for solution, outcome in zip(labeled.solutions, (1.0, 0.0), strict=True):
        beliefs = [label.belief for label in solution.labels if label is not None]
        assert len(beliefs) == STEPS
        assert solution.verdict.posterior is not None
        assert [b.p_error for b in beliefs if b is not None] == list(solution.verdict.posterior[:-1])
        assert all(b is not None and b.low - 0.01 <= b.value <= b.high + 0.01 for b in beliefs)
        assert beliefs[-1] is not None
        assert (beliefs[-1].value, beliefs[-1].low, beliefs[-1].high) == (outcome,) * 3


def lengthened(row: SolvedProblem, factor: int) -> SolvedProblem:
    def longer(rollout: Rollout, rng: Random) -> Rollout:
        steps = tuple(s.model_copy(update={"token_ids": (0,) * (factor * rng.randint(5, 60))}) for s in rollout.steps)
        return rollout.model_copy(update={"steps": steps})

    return row.model_copy(update={"rollouts": tuple(longer(r, Random(r.id)) for r in row.rollouts)})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 10, 37]))
def test_longer_steps_change_no_decision(seed: int, factor: int) -> None:
    asked = []
    for times in (1, factor):
        row, policy, _ = case(World(jitter=True), seed)
        labeled = run(ChangePoint(), lengthened(row, times), policy, seed)
        asked.append((policy.asked, [s.verdict for s in labeled.solutions]))
    assert asked[0] == asked[1]


def test_a_late_prefix_is_cheaper_and_the_last_costs_a_step() -> None:
    steps = [Step(text="x", token_ids=(0,) * n) for n in (30, 30, 30, 8, 2)]
    assert [share_left(steps, t) for t in range(1, 5)] == pytest.approx([0.7, 0.4, 0.2, 0.2])
    told = [Step(text=" = 444\n" * 50, author="tool"), *steps[1:]]
    assert share_left(told, 1) == 1, "what a tool answered is no part of what the policy wrote"


def test_a_question_that_is_not_worth_its_cost_is_not_asked() -> None:
    path = solution_trajectory(a_solution("bad", LETTERS, "wrong"))
    belief = posterior(observed([(8, 2), *[(0, 0)] * 7]), Rates())
    worth = {t: information(belief)[t] / (1 - t / STEPS) for t in range(1, STEPS)}
    best = max(worth, key=worth.__getitem__)
    assert ChangePoint(least_information=worth[best] * 0.99).best_question(path, belief, spent=1) == best
    dear = ChangePoint(least_information=worth[best] * 1.01)
    assert dear.best_question(path, belief, spent=1) is None
    assert dear.best_question(path, belief, spent=0) == best, "every wrong answer is asked about once"


def test_a_v_that_jumps_about_before_the_error() -> None:
    assert score(ChangePoint(), World(jitter=True)).exact >= score(BISECTION, World(jitter=True)).exact - 0.05


def test_a_policy_that_often_recovers() -> None:
    # V = 0.15 after the error: any-success labels call most lost prefixes right (1 - 0.85^8 = 0.73).
    rates = ChangePoint().fitted_rates(score(ChangePoint(), World(lost=0.15)).rows)
    ours = score(ChangePoint(rates=rates), World(lost=0.15))
    assert ours.exact >= 0.75
    assert ours.exact >= score(BISECTION, World(lost=0.15)).exact + 0.4


def certain(seed: int) -> Case:
    """V jumps between 0.3 and 0.95, though every step is said to be nearly certain, so that V cannot have moved."""
    row, policy, error = case(World(jitter=True), seed)
    said = {r.id: tuple(s.model_copy(update={"logprob": log(0.9)}) for s in r.steps) for r in row.rollouts}
    rollouts = tuple(r.model_copy(update={"steps": said[r.id]}) for r in row.rollouts)
    return Case(row.model_copy(update={"rollouts": rollouts}), policy, error)


def test_completions_that_contradict_what_is_free_are_judged_by_sequential_tests() -> None:
    fired, exact, without = [], [], []
    for seed in range(20):
        row, policy, error = certain(seed)
        verdict = run(ChangePoint(), row, policy, seed).solutions[1].verdict
        assert sum(policy.asked.values()) <= ChangePoint().budget
        fired.append(not verdict.abstained and verdict.classes is None)  # classes are the model's to tell
        if fired[-1]:
            row, policy, _ = certain(seed)
            alone = run(ChangePoint(fallback=False, sure=0), row, policy, seed).solutions[1].verdict
            exact.append(verdict.first_error == error)
            without.append(alone.first_error == error)
    assert mean(fired) >= 0.2
    assert mean(exact) >= mean(without) + 0.1


def test_completions_that_agree_with_the_model_contradict_it_in_fewer_than_1_of_20_solutions() -> None:
    assert mean(contradicted(drawn.seen, Rates(hazard=1.5)) for drawn in many()) <= 0.05
    rows = [row for world in (World(), World(jitter=True)) for row in score(ChangePoint(), world).rows]
    verdicts = [row.solutions[1].verdict for row in rows]
    assert mean(not verdict.abstained and verdict.classes is None for verdict in verdicts) <= 0.05
