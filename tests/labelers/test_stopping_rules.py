"""When drawing at a prefix ends, and whose completions count."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from fakes import KnownPolicy, a_solution, solved
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import RIGHT, evidence_of, run, text

from stepforge.labelers import AMCS, MathShepherd
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import StepLabel
from stepforge.schemas.rollout import Outcome, Rollout

# Evidence.


def amcs_stop(outcomes: Sequence[Outcome], first: int, most: int, half_width: float) -> int:
    """How many completions AMCS's rule takes of an endless row of right and wrong ones."""
    for n in range(first, most):
        right = outcomes[:n].count("correct")
        low, high = wilson(right, n)
        if right in (0, n) or (high - low) / 2 <= half_width:
            return n
    return most


@pytest.mark.parametrize(("first", "most", "half_width"), [(6, 20, 0.2), (4, 30, 0.25), (1, 12, 0.3)])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.85, 1.0])
def test_drawing_stops_by_amcs_rule(value: float, first: int, most: int, half_width: float) -> None:
    path = solution_trajectory(a_solution("one", "abC", "wrong"))

    async def drawn(seed: int) -> tuple[list[Outcome], StepLabel]:
        evidence = evidence_of(solved(), KnownPolicy(lambda prefix: value), seed)
        part = AMCS(first=first, most=most, half_width=half_width)
        label = await evidence.until(path, 1, first, most, part.narrow)
        return [rollout.outcome for rollout in evidence.rollouts], label

    async def everything() -> list[tuple[list[Outcome], StepLabel]]:
        return [await drawn(seed) for seed in range(20)]

    for outcomes, label in asyncio.run(everything()):
        assert len(outcomes) == label.trials == amcs_stop(outcomes, first, most, half_width)
        assert first <= len(outcomes) <= most
        assert label.stopping == "adaptive"
        if value in (0.0, 1.0):
            assert len(outcomes) == first


def test_amcs_rule_by_hand() -> None:
    class Once(KnownPolicy):
        def _rollout(self, prefix: str, name: str, right: bool) -> Rollout:
            first, self.value = self.value, lambda prefix: 0.0
            return super()._rollout(prefix, name, first(prefix) == 1.0)

    path = solution_trajectory(a_solution("one", "abC", "wrong"))
    evidence = evidence_of(solved(), Once(lambda prefix: 1.0))
    label = asyncio.run(evidence.until(path, 1, 6, 20, AMCS().narrow))
    # One success: Wilson's half-width is 0.2076 for 9 completions and 0.1931 for 10
    assert (label.successes, label.failures) == (1, 9)


def test_completions_without_a_verdict_do_not_make_an_interval_narrow() -> None:
    path = solution_trajectory(a_solution("one", "abC", "wrong"))
    evidence = evidence_of(solved(), KnownPolicy(lambda prefix: 1.0, truncated=lambda prefix: True))
    label = asyncio.run(evidence.until(path, 1, 6, 20, AMCS().narrow))
    assert (label.trials, label.undetermined, label.truncated) == (0, 20, 20)


@given(st.integers(0, 5), st.lists(st.integers(1, 4), max_size=4), st.integers(0, 1))
@settings(deadline=None, max_examples=30)
def test_more_draws_exactly_so_many_more(k: int, further: list[int], count: int) -> None:
    bad = a_solution("one", "abC", "wrong")
    given_ones = [RIGHT, bad] if count == 0 else []
    policy = KnownPolicy(lambda prefix: 0.5)

    async def grow() -> list[int]:
        evidence = evidence_of(solved(RIGHT, bad), policy)
        totals = [(await evidence.measure(solution_trajectory(bad), count, k)).trials]
        totals += [(await evidence.more(solution_trajectory(bad), count, n)).trials for n in further]
        assert len({rollout.id for rollout in evidence.rollouts}) == evidence.cost.rollouts == policy.asked.total()
        return totals

    totals = asyncio.run(grow())
    assert totals[0] == max(k, len(given_ones))
    assert [after - before for before, after in pairwise(totals)] == further


def test_without_sharing_every_solution_pays_for_its_own_completions() -> None:
    row = solved(a_solution("one", "abCD", "wrong"), a_solution("two", "abEF", "wrong"))
    asked, costs = {}, {}
    for shared in (True, False):
        policy = KnownPolicy(lambda prefix: 0.5)
        labeled = run(MathShepherd(k=8, shared=shared), row, policy)
        asked[shared], costs[shared] = policy.asked, labeled.costs[0].cost.rollouts
        assert costs[shared] == len({rollout.id for rollout in labeled.evidence}) == policy.asked.total()
        assert all(label is not None and label.trials == 8 for s in labeled.solutions for label in s.labels[:-1])
    assert asked[True] == {text("a"): 8, text("ab"): 8, text("abC"): 8, text("abE"): 8}
    assert asked[False] == {text("a"): 16, text("ab"): 16, text("abC"): 8, text("abE"): 8}
    assert (costs[True], costs[False]) == (32, 48)
