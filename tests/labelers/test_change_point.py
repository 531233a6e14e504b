"""The change-point model against a sum over every path; its search on known policies, its assumptions when wrong."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import isclose, log
from random import Random
from statistics import mean
from typing import NamedTuple

import numpy as np
import pytest
from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved
from hypothesis import given, settings
from hypothesis import strategies as st

from stepforge.labelers import ChangePoint, OmegaPRM
from stepforge.labelers.change_point.labeler import classes_of
from stepforge.labelers.change_point.model import (
    MISGRADED,
    RIGHT,
    SLACK,
    Observed,
    chances,
    information,
    posterior,
    said,
)
from stepforge.labelers.change_point.observations import share_left
from stepforge.labelers.change_point.pooling import (
    POWERS,
    calibrated,
    fails_check,
    fitted_temper,
    held_out,
    pooled_rates,
)
from stepforge.labelers.change_point.rates import GRID, SIZE, Rates, kernels
from stepforge.labelers.change_point.values import value_and_interval
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import Evidence, solution_trajectory
from stepforge.labelers.rules import PosteriorRule
from stepforge.labelers.sprt import likeliest_error
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import SUPPLIED, Rollout, SolvedProblem, Step, pass_rate
from stepforge.schemas.seeds import rng_of

LETTERS = "ABCDEFGH"
STEPS = len(LETTERS)
Counts = tuple[int, int]


def observed(
    drawn: Sequence[Counts],
    right: bool = False,
    written: Sequence[float] | None = None,
    left: Sequence[Counts] | None = None,
) -> Observed:
    left = left or [(0, 0)] * len(drawn)
    return Observed(
        right=right,
        successes=np.array([c for c, _ in drawn], float),
        failures=np.array([c for _, c in drawn], float),
        left_right=np.array([c for c, _ in left], float),
        left_wrong=np.array([c for _, c in left], float),
        written=np.array(written or [0.0] * len(drawn), float),
    )


# A sum over every path of (regime, V), written out from the model's description.


def brute(seen: Observed, rates: Rates) -> tuple[list[float], float, list[float]]:
    """Return P(first error), the evidence, and E[V] after each step."""
    steps, laws = len(seen.written), kernels()
    weights: dict[int, float] = dict.fromkeys(range(steps + 1), 0.0)
    values = [0.0] * (steps + 1)

    def moved(before: tuple[str, int], after: tuple[str, int], t: int) -> float:
        (a, i), (b, j), q = before, after, float(seen.written[t])
        wrong = 1 - np.exp(-rates.hazard * (1 - q) / steps)
        mended = 1 - np.exp(-rates.repair / steps)
        harmless = rates.harmless_share(float(seen.written.mean()))
        move = sum(w * laws.moves[k][i, j] for k, w in enumerate(rates.moves))
        drop = sum(w * laws.drops[k][i, j] for k, w in enumerate(rates.drops))
        chance = {
            ("right", "right"): (1 - wrong) * move,
            ("right", "repaired"): wrong * harmless * move,
            ("repaired", "repaired"): (1 - wrong + wrong * harmless) * move,
            ("right", "lost"): wrong * (1 - harmless) * drop,
            ("repaired", "lost"): wrong * (1 - harmless) * drop,
            ("lost", "lost"): (1 - mended) * laws.lost[i, j],
            ("lost", "repaired"): mended * laws.repair[i, j],
        }.get((a, b), 0.0)
        others = GRID[i] - q * GRID[j]  # what those who leave contribute to V
        w = min(max(others / (1 - q), 0.005), 0.995)
        missed = max(0.0, others - (1 - q), -others) / SLACK
        left = w ** seen.left_right[t] * (1 - w) ** seen.left_wrong[t]
        drawn = GRID[i] ** seen.successes[t] * (1 - GRID[i]) ** seen.failures[t]
        return float(chance * left * drawn * np.exp(-(missed**2)))

    states = list(product(("right", "lost", "repaired"), range(SIZE)))
    for path in product(states, repeat=steps):
        ends_right = path[-1][0] != "lost"
        end = 1 - MISGRADED if ends_right == seen.right else MISGRADED
        error = next((t for t, (regime, _) in enumerate(path) if regime != "right"), steps)
        for start in range(SIZE):
            weight = float(rates.base_law[start]) * end
            for t, (before, after) in enumerate(zip((("right", start), *path), path, strict=False)):
                weight *= moved(before, after, t)
                if not weight:
                    break
            weights[error] += weight
            for t, (_, place) in enumerate((("right", start), *path)):
                values[t] += weight * GRID[place]
    total = sum(weights.values())
    return [weights[e] / total for e in range(steps + 1)], total, [v / total for v in values]


counts = st.tuples(st.integers(0, 3), st.integers(0, 3))
chance = st.floats(0.0, 0.95)
some_rates = st.builds(
    Rates, hazard=st.floats(0.1, 5), repair=st.floats(0.05, 2), harmless=st.tuples(*[st.floats(0, 0.9)] * 2)
)


@st.composite
def observations(draw: st.DrawFn, most: int = 8) -> Observed:
    steps = draw(st.integers(1, most))
    leaving = draw(st.lists(counts, min_size=steps, max_size=steps))
    left = draw(st.lists(counts, min_size=steps, max_size=steps))
    return observed(leaving, draw(st.booleans()), draw(st.lists(chance, min_size=steps, max_size=steps)), left)


@pytest.mark.parametrize(
    ("leaving", "right", "written"),
    [
        ([(2, 1), (0, 3)], False, [0.0, 0.0]),
        ([(3, 0), (1, 1)], True, [0.7, 0.2]),
        ([(0, 0), (0, 2)], False, [0.9, 0.0]),
    ],
)
def test_the_posterior_is_that_of_a_sum_over_every_path(
    leaving: list[Counts], right: bool, written: list[float]
) -> None:
    seen, rates = observed(leaving[::-1], right, written, leaving), Rates(hazard=1.3, repair=0.4)
    post = posterior(seen, rates)
    first_error, evidence, values = brute(seen, rates)
    assert post.first_error == pytest.approx(first_error, abs=1e-9)
    assert post.log_evidence == pytest.approx(log(evidence), abs=1e-9)
    found = [post.states[t].reshape(3, SIZE).sum(axis=0) @ GRID for t in range(3)]
    assert found == pytest.approx(values, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(observations(), some_rates)
def test_probabilities_are_probabilities(seen: Observed, rates: Rates) -> None:
    post = posterior(seen, rates)
    assert isclose(sum(post.first_error), 1.0, abs_tol=1e-9)
    assert all(p >= 0 for p in post.first_error)
    assert np.allclose(post.states.sum(axis=1), 1.0)
    for t in range(1, len(seen.written)):
        mean_, low, high = value_and_interval(post, t)
        assert 0 <= low <= high <= 1
        assert low - 0.05 <= mean_ <= high + 0.05
        inner_low, inner_high = value_and_interval(post, t, 0.5)[1:]
        assert low - 1e-9 <= inner_low <= inner_high <= high + 1e-9
        assert 0 <= information(post)[t] <= log(2) + 1e-9


def test_successes_after_a_step_clear_it_and_failures_after_it_convict() -> None:
    nothing = [(0, 0)] * STEPS
    before = posterior(observed(nothing), Rates()).first_error
    clear = posterior(observed([(6, 4), *nothing[1:4], (6, 1), *nothing[5:]]), Rates()).first_error
    assert sum(clear[:4]) < 0.2 * sum(before[:4])  # what is left are harmless errors
    lost = posterior(observed([(8, 2), *nothing[1:4], (0, 12), *nothing[5:]]), Rates()).first_error
    assert sum(lost[:4]) > 0.95
    both = posterior(observed([(8, 2), *nothing[1:3], (6, 1), (0, 12), *nothing[5:]]), Rates()).first_error
    assert both[3] > 0.9


def test_a_wrong_answer_leaves_a_small_chance_that_the_reference_is_wrong() -> None:
    post = posterior(observed([(9, 1)] * STEPS), Rates())
    assert post.first_error[STEPS] > 0.02
    assert max(post.first_error[:STEPS]) == post.first_error[STEPS - 1]  # every prefix succeeds: only the last is left


def test_a_right_solution_has_no_error() -> None:
    seen = observed([(2, 1), *[(0, 0)] * 7], right=True)
    assert posterior(seen, Rates()).first_error[STEPS] > 0.75
    assert posterior(seen, Rates(harmless=(0.0, 0.0))).first_error[STEPS] > 0.85


def test_a_right_answer_through_a_step_that_stands_out_is_flagged() -> None:
    written = [0.97, 0.97, 0.01, 0.97, 0.97]
    rates = Rates(hazard=5.0)
    post = posterior(observed([(3, 1), *[(0, 0)] * 4], right=True, written=written), rates)
    assert max(range(6), key=post.first_error.__getitem__) == 2
    assert classes_of(post, 2)[2] == "repaired"
    alike = posterior(observed([(3, 1), *[(0, 0)] * 4], right=True, written=[0.01] * 5), Rates())
    assert max(range(6), key=alike.first_error.__getitem__) == 5


def test_an_interval_that_ends_in_an_outer_cell_reaches_never_or_always() -> None:
    lost = posterior(observed([(8, 2), (0, 30), *[(0, 0)] * 3]), Rates())
    assert value_and_interval(lost, 1)[1] == 0.0
    sure = posterior(observed([(60, 0)] * 4, right=True), Rates())
    assert value_and_interval(sure, 2)[2] == 1.0
    assert value_and_interval(sure, 2)[1] > 0.5


def test_a_step_that_the_policy_was_sure_of_cannot_lose_much() -> None:
    written = [0.95, 0.95, 0.05, 0.95, 0.95]
    post = posterior(observed([(3, 1), *[(0, 0)] * 4], written=written), Rates())
    assert max(range(5), key=post.first_error.__getitem__) == 2
    assert post.first_error[2] > 0.7


def test_in_free_text_the_probability_of_a_step_says_nothing() -> None:
    leaving = [(3, 1), (1, 2), (0, 2), (0, 0)]
    unknown = posterior(observed(leaving), Rates())
    free = posterior(observed(leaving, written=[1e-8, 1e-5, 1e-9, 1e-6]), Rates())
    assert free.first_error == pytest.approx(unknown.first_error, abs=1e-4)


def test_information_by_hand() -> None:
    post = posterior(observed([(8, 2), *[(0, 0)] * 7]), Rates())
    right, wrong = (float(chance[4]) for chance in chances(post))
    share = sum(post.first_error[:4])

    def entropy(p: float) -> float:
        return -p * log(p) - (1 - p) * log(1 - p)

    mixed = (1 - share) * right + share * wrong
    assert right > 0.5 > 0.2 > wrong
    assert information(post)[4] == pytest.approx(entropy(mixed) - (1 - share) * entropy(right) - share * entropy(wrong))
    sure = posterior(observed([(8, 2), (0, 40), *[(0, 0)] * 6]), Rates())
    assert information(sure)[4] < 0.01 < information(post)[4]


# The search, on policies whose values are known.


def run(labeler: ChangePoint | OmegaPRM, row: SolvedProblem, policy: KnownPolicy, seed: int = 0) -> LabeledProblem:
    return asyncio.run(labeler(row, policy, EqualGrader(), seed=seed))


def shared_steps(prefix: str) -> int:
    return next((n for n in range(STEPS) if not prefix.startswith(text(n + 1))), STEPS)


def text(count: int) -> str:
    return "".join(f"{letter}\n" for letter in LETTERS[:count])


class World(NamedTuple):
    """How a solution goes wrong, and what the policy makes of it."""

    alive: float = 0.7
    lost: float = 0.02
    jitter: bool = False
    """Whether every prefix that is alive has a V of its own, uniform in 0.3 to 0.95."""
    name: str = "world"


class Case(NamedTuple):
    row: SolvedProblem
    policy: KnownPolicy
    error: int


def case(world: World, seed: int) -> Case:
    """A right solution, and a wrong one with its first and fatal error anywhere."""
    rng = rng_of("change point", world.name, seed)
    error = rng.randrange(STEPS)
    values = [rng.uniform(0.3, 0.95) if world.jitter else world.alive for _ in range(STEPS)]

    def v(prefix: str) -> float:
        count = shared_steps(prefix)
        return world.lost if count > error else values[count]

    good, bad = a_solution("good", "abcdefgh", "correct"), a_solution("bad", LETTERS, "wrong")
    return Case(solved(good, bad, problem=a_problem(f"{world.name}{seed}")), KnownPolicy(v), error)


class Score(NamedTuple):
    exact: float
    """Share of cases in which the first error is named."""
    confidently_wrong: float
    """Share in which another is."""
    rollouts: float
    """A case."""
    rows: tuple[LabeledProblem, ...]


CASES = 100


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


def test_the_same_problem_is_labelled_the_same_twice() -> None:
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


# What is counted.


def evidence_on(row: SolvedProblem) -> Evidence:
    return Evidence(row, KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=3)


def seen_of(row: SolvedProblem, index: int = 0, part: ChangePoint | None = None) -> Observed:
    return (part or ChangePoint()).observed(solution_trajectory(row.rollouts[index]), evidence_on(row))


def leaving(seen: Observed) -> list[Counts]:
    return [(int(c), int(d)) for c, d in zip(seen.left_right, seen.left_wrong, strict=True)]


def drawn(seen: Observed) -> list[Counts]:
    return [(int(c), int(d)) for c, d in zip(seen.successes, seen.failures, strict=True)]


SIBLINGS = solved(
    a_solution("bad", "ABCDE", "wrong"),
    a_solution("twin", "ABCxy", "correct"),
    a_solution("cousin", "ABuvw", "wrong"),
    a_solution("other", "zyxwv", "correct"),
    a_solution("cut", "ABCDz", "undetermined"),
)


def test_every_rollout_counts_once_where_it_leaves_and_the_solution_itself_does_not() -> None:
    assert leaving(seen_of(SIBLINGS)) == [(1, 0), (0, 0), (0, 1), (1, 0), (0, 0)]
    assert leaving(seen_of(SIBLINGS, 1)) == [(1, 0), (0, 0), (0, 1), (0, 1), (0, 0)]


def test_without_log_probabilities_q_is_the_share_that_wrote_the_step() -> None:
    assert seen_of(SIBLINGS).written.tolist() == [2 / 4, 2 / 3, 1 / 3, 0.0, 0.0]


def test_with_log_probabilities_q_is_the_probability_of_the_step() -> None:
    steps = tuple(s.model_copy(update={"logprob": log(0.25)}) for s in SIBLINGS.rollouts[0].steps)
    row = solved(SIBLINGS.rollouts[0].model_copy(update={"steps": steps}), *SIBLINGS.rollouts[1:])
    assert seen_of(row).written == pytest.approx([0.25] * 5)
    assert seen_of(row, part=ChangePoint(surprise=False)).written.tolist() == seen_of(SIBLINGS).written.tolist()


def test_a_copy_of_the_solution_says_nothing_about_where_it_went_wrong() -> None:
    row = solved(a_solution("bad", "ABCDE", "wrong"), a_solution("copy", "ABCDE", "wrong"))
    assert leaving(seen_of(row)) == [(0, 0)] * 5


def test_completions_count_where_they_were_drawn_and_without_passing_siblings_count_at_the_question() -> None:
    path, evidence = solution_trajectory(SIBLINGS.rollouts[0]), evidence_on(SIBLINGS)
    evidence.add(a_solution("through", "CDq", "correct"), path.steps[:2])
    evidence.add(a_solution("copy", "CDE", "wrong"), path.steps[:2])
    with_siblings = ChangePoint().observed(path, evidence)
    assert drawn(with_siblings) == [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)]
    assert leaving(with_siblings) == [(1, 0), (0, 0), (0, 1), (1, 0), (0, 0)]
    without = ChangePoint(passing=False).observed(path, evidence)
    assert drawn(without) == [(2, 1), (0, 0), (1, 1), (0, 0), (0, 0)]
    assert not without.written.any()
    assert leaving(without) == [(0, 0)] * 5


def brought_along() -> SolvedProblem:
    nobody = SIBLINGS.policy.model_copy(update={"model": SUPPLIED})
    tokenless = tuple(r.model_copy(update={"tokens": 0}) for r in SIBLINGS.rollouts)  # as the pipeline stores them
    return SIBLINGS.model_copy(update={"policy": nobody, "rollouts": tokenless})


def test_supplied_solutions_are_no_samples_of_the_policy() -> None:
    assert leaving(seen_of(brought_along())) == [(0, 0)] * 5
    policy = KnownPolicy(lambda prefix: 0.9)
    run(ChangePoint(), brought_along(), policy)
    assert policy.asked[""] == 4  # so the base rate is asked for


def test_beside_supplied_solutions_the_policys_own_are_its_samples() -> None:
    own = tuple(r.model_copy(update={"id": f"own-{r.id}"}) for r in SIBLINGS.rollouts)
    supplied = brought_along().model_copy(update={"own": own})
    policy = KnownPolicy(lambda prefix: 0.9)
    labeled = run(ChangePoint(), supplied, policy)
    assert policy.asked[""] == 0
    assert labeled.own == own
    assert labeled.pass_rate == supplied.pass_rate == pass_rate(own)
    assert [s.verdict.posterior for s in labeled.solutions] == [
        ChangePoint().verdict_on(s.rollout, stored_evidence(labeled)).posterior for s in labeled.solutions
    ]


# Lengths.


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
    assert ChangePoint(least_information=worth[best] * 0.99).best_question(path, belief) == best
    assert ChangePoint(least_information=worth[best] * 1.01).best_question(path, belief) is None


# What happens where the assumptions fail.


def test_a_v_that_jumps_about_before_the_error() -> None:
    assert score(ChangePoint(), World(jitter=True)).exact >= score(BISECTION, World(jitter=True)).exact - 0.05


def test_a_policy_that_often_recovers() -> None:
    # V = 0.15 after the error: any-success labels call most lost prefixes right (1 - 0.85^8 = 0.73).
    ours = score(ChangePoint(), World(lost=0.15))
    assert ours.exact >= 0.55
    assert ours.exact >= score(BISECTION, World(lost=0.15)).exact + 0.2


def test_completions_that_contradict_the_model_are_judged_by_sequential_tests() -> None:
    row = solved(a_solution("good", "abcdefgh", "correct"), a_solution("bad", LETTERS, "wrong"))
    path = solution_trajectory(row.rollouts[1])
    up_and_down = KnownPolicy(lambda prefix: float(shared_steps(prefix) in (2, 3, 5, 6)))  # no single error
    evidence = Evidence(row, up_and_down, EqualGrader(), 1)
    part = ChangePoint(rates=Rates(repair=0.01))
    for count in range(1, STEPS):
        asyncio.run(evidence.more(path, count, 6))
    seen = part.observed(path, evidence)
    assert fails_check(seen, part.rates)
    fallen_back = part.verdict(path, evidence, part.believe(path, evidence))
    assert fallen_back.first_error == likeliest_error(path, evidence) == 6
    assert fallen_back.classes is None  # which the model alone can tell
    alone = part.model_copy(update={"fallback": False})
    assert alone.verdict(path, evidence, part.believe(path, evidence)).classes is not None


def test_completions_that_agree_with_the_model_pass_its_check() -> None:
    assert not fails_check(observed([(8, 2), (0, 0), (4, 1), (0, 6), (0, 5), (0, 0)]), Rates())
    failed = [fails_check(drawn.seen, Rates(hazard=1.5)) for drawn in many()]
    assert mean(failed) < 0.02


# Solutions simulated from the model itself.


class Simulated(NamedTuple):
    error: int
    values: tuple[float, ...]
    seen: Observed


def simulated(rng: np.random.Generator, rates: Rates, steps: int, root: int, each: int) -> Simulated:
    """Draw a path and its outcomes: ``root`` completions of the question and ``each`` of every prefix."""
    laws = kernels()
    move = np.tensordot(np.array(rates.moves), laws.moves, 1)
    drop = np.tensordot(np.array(rates.drops), laws.drops, 1)
    wrong, mended = 1 - np.exp(-rates.hazard / steps), 1 - np.exp(-rates.repair / steps)
    place, lost, error, values = rng.choice(SIZE, p=rates.base_law), False, steps, []
    for t in range(steps):
        values.append(float(GRID[place]))
        if lost and rng.random() < mended:
            lost, law = False, laws.repair
        elif lost:
            law = laws.lost
        elif rng.random() < wrong:
            lost, error = rng.random() >= rates.harmless_share(0.0), min(error, t)
            law = drop if lost else move
        else:
            law = move
        place = rng.choice(SIZE, p=law[place])
    right = bool(rng.random() < (MISGRADED if lost else 1 - MISGRADED))
    trials = [root] + [each] * (steps - 1)
    successes = [int(rng.binomial(n, v)) for n, v in zip(trials, values, strict=True)]
    return Simulated(
        error, tuple(values), observed([(c, n - c) for c, n in zip(successes, trials, strict=True)], right)
    )


@lru_cache
def many() -> tuple[Simulated, ...]:
    rng = np.random.default_rng(7)
    return tuple(simulated(rng, Rates(hazard=1.5), steps=6, root=6, each=3) for _ in range(500))


def test_intervals_cover_what_they_promise() -> None:
    inside = []
    for drawn in many():
        post = posterior(drawn.seen, Rates(hazard=1.5))
        for t, v in enumerate(drawn.values):
            _, low, high = value_and_interval(post, t)
            inside.append(low <= v <= high)
    assert 0.86 <= mean(inside) <= 0.96


def test_the_posterior_is_as_sure_as_it_is_right() -> None:
    beliefs = [(posterior(drawn.seen, Rates(hazard=1.5)).first_error, drawn.error) for drawn in many()]
    said = mean(max(shares) for shares, _ in beliefs)
    assert said == pytest.approx(mean(shares.index(max(shares)) == error for shares, error in beliefs), abs=0.05)


# Rates pooled over a run.


def test_pooled_rates_go_from_the_defaults_to_the_truth_and_explain_more() -> None:
    truth = Rates(hazard=2.5, repair=0.6, initial=(0.0,) * 9 + (0.2,) * 5)
    rng = np.random.default_rng(5)
    seen = [simulated(rng, truth, steps=6, root=8, each=4).seen for _ in range(150)]
    found = pooled_rates(seen, Rates())
    assert abs(found.hazard - truth.hazard) < abs(Rates().hazard - truth.hazard) / 2
    assert abs(found.repair - truth.repair) < abs(Rates().repair - truth.repair) / 1.5
    assert sum(found.initial[9:]) > 0.8
    before, after = (sum(posterior(s, r).log_evidence for s in seen) for r in (Rates(), found))
    assert after > before
    assert all(isclose(sum(shares), 1.0) for shares in (found.initial, found.moves, found.drops))


def test_nothing_seen_leaves_the_rates_as_they_were() -> None:
    assert pooled_rates([], Rates()) == Rates()


def test_temper_is_one_for_the_model_itself_and_lower_where_the_model_is_too_sure() -> None:
    rates = Rates(hazard=1.5)
    own = [drawn.seen for drawn in many() if not drawn.seen.right][:120]
    assert fitted_temper(own, rates) >= 0.7
    rng = np.random.default_rng(3)
    unrelated = [
        observed([(int(c), 5 - int(c)) for c in rng.binomial(5, rng.choice([0.05, 0.9], size=6))]) for _ in range(60)
    ]
    assert fitted_temper(unrelated, rates) < fitted_temper(own, rates)
    assert fitted_temper([], rates) in POWERS


def test_a_held_out_prediction_does_not_know_its_outcome() -> None:
    seen = observed([(8, 2), (0, 0), (5, 0), (0, 0)])
    other = observed([(8, 2), (0, 0), (0, 5), (0, 0)])
    (one,), (two,) = list(held_out(seen, Rates())), list(held_out(other, Rates()))
    assert one.first_error == two.first_error
    assert one.prefix == two.prefix == 2
    assert one.log_right > two.log_right


# Stored evidence.


def reread(row: LabeledProblem) -> LabeledProblem:
    return LabeledProblem.model_validate_json(row.model_dump_json())


@pytest.mark.parametrize("part", [ChangePoint(), ChangePoint(passing=False), ChangePoint(rates=Rates(hazard=3.0))])
def test_the_posterior_rule_says_of_stored_rows_what_the_run_said(part: ChangePoint) -> None:
    row, policy, _ = case(World(), 2)
    rule = PosteriorRule(model=part)
    labeled = reread(run(part, row, policy, seed=2))
    for solution in labeled.solutions:
        view = rule.view(labeled, solution)
        assert view.verdict == solution.verdict.model_copy(update={"labeler": "posterior"})
        assert solution.verdict.posterior is not None
        assert view.targets[0] == pytest.approx(1 - solution.verdict.posterior[0])


def test_the_posterior_rule_knows_supplied_solutions() -> None:
    labeled = run(ChangePoint(), brought_along(), KnownPolicy(lambda prefix: 0.6))
    for solution in labeled.solutions:
        if solution.rollout.outcome != "undetermined":
            view = PosteriorRule().view(labeled, solution)
            assert view.verdict.posterior == solution.verdict.posterior


def test_known_first_errors_calibrate_what_is_said() -> None:
    """V falls at step 3 of 6; in half of the solutions the first error is step 1 and did no harm at first."""
    seen = [observed([(9, 1), (9, 1), (9, 1), (0, 9), (0, 9), (0, 9)])] * 40
    clear, mixed = calibrated(seen, [2] * 40, Rates()), calibrated(seen, [2, 0] * 20, Rates())
    told = {name: said(posterior(seen[0], r).first_error, r.unseen) for name, r in (("c", clear), ("m", mixed))}
    assert told["c"][2] > 0.95
    assert 0.3 < told["m"][2] < 0.7
    assert told["m"][0] > 0.15
    assert (clear.harmless[0], clear.unseen) == (0.0, 0.0)


def test_what_is_said_keeps_the_order_of_the_steps_and_adds_up() -> None:
    told = said((0.6, 0.3, 0.05, 0.05), 0.2)
    assert told == pytest.approx((0.48 + 0.19 / 3, 0.24 + 0.19 / 3, 0.04 + 0.19 / 3, 0.05))
    assert sum(told) == pytest.approx(1)


def test_pooled_rates_are_the_same_in_any_order_of_solutions_up_to_rounding() -> None:
    seen = [drawn.seen for drawn in many()[:40]]
    forward, backward = pooled_rates(seen, Rates()), pooled_rates(seen[::-1], Rates())
    assert forward.hazard == pytest.approx(backward.hazard, rel=1e-6)
    assert forward.initial == pytest.approx(backward.initial, abs=1e-6)


def test_the_first_regime_is_where_every_solution_starts() -> None:
    post = posterior(observed([(1, 1)] * 3), Rates())
    assert post.states[0, RIGHT].sum() == pytest.approx(1.0)
