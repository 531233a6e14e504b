"""Search on policies whose values are known."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fakes import EqualGrader, KnownPolicy, KnownScorer, a_problem
from pydantic import TypeAdapter

from stepforge.generators.search import AnySearch, Asked, Beam, BestOfN, Found, Mcts
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, Step


class _Letters(KnownPolicy):
    """Writes letters a line each; a solution of three lines has ended, and is right if all of them are A."""

    def __init__(self) -> None:
        super().__init__(lambda prefix: 0.5)
        self.prefixes: list[str] = []

    async def next_steps(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        self.prefixes.append("".join(step.text for step in prefix))
        letters = "ABCD"[:n]
        return [self._one(prefix, (Step(text=f"{letter}\n", logprob=-1.0),), f"{seed}-{letter}") for letter in letters]

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        self.prefixes.append("".join(step.text for step in prefix))
        rest = max(1, 3 - len(prefix))
        return [
            self._one(prefix, tuple(Step(text=f"{'AB'[(seed + i + j) % 2]}\n") for j in range(rest)), f"{seed}-{i}")
            for i in range(n)
        ]

    def _one(self, prefix: Sequence[Step], steps: tuple[Step, ...], name: str) -> Rollout:
        whole = [*prefix, *steps]
        ended = len(whole) >= 3
        return Rollout(
            id=name,
            start=None,
            steps=steps,
            answer=("1" if all(step.text == "A\n" for step in whole) else "0") if ended else None,
            outcome="undetermined",
            finish="stop",
            tokens=2 * len(steps),
        )


def _search(search: Any, policy: _Letters) -> Found:
    likes_a = KnownScorer(lambda step: 0.9 if step == "A" else 0.1)
    asked = Asked(a_problem(), policy, EqualGrader(), likes_a, 3)
    found: Found = asyncio.run(search(asked))
    return found


def test_beam_keeps_the_best_partial_solutions_and_counts_every_token() -> None:
    policy = _Letters()
    found = _search(Beam(width=2, expand=4), policy)
    assert found.solutions[0].text == "A\nA\nA\n" and found.solutions[0].answer == "1"
    assert found.values == sorted(found.values, reverse=True) and found.values[0] == 0.9
    assert len(policy.prefixes) == 1 + 2 + 2, "two beams at each depth but the first"
    assert found.tokens == 2 * 4 * 5
    assert all(prefix.count("A") >= prefix.count("\n") - 1 for prefix in policy.prefixes)


def test_tree_search_goes_on_where_values_are_high() -> None:
    policy = _Letters()
    found = _search(Mcts(simulations=12, exploration=0.2), policy)
    assert len(found.solutions) == 12 and policy.prefixes[0] == ""
    assert found.tokens == sum(r.tokens for r in found.solutions) > 0
    went_on = [prefix for prefix in policy.prefixes if prefix]
    assert went_on and sum("B" not in prefix for prefix in went_on) > len(went_on) / 2
    assert all(len(r.steps) == 3 for r in found.solutions)


def test_best_of_n_orders_by_any_value() -> None:
    found = _search(BestOfN(n=6), _Letters())
    assert len(found.solutions) == 6 and found.tokens == 36
    assert found.values == sorted(found.values, reverse=True)
    carlo = _search(BestOfN(n=2, value="monte_carlo", completions=3), _Letters())
    assert carlo.tokens > 12 and set(carlo.values) <= {0, 1 / 3, 2 / 3, 1}
    unknown = _search(BestOfN(n=2, value="certainty"), _Letters())
    assert unknown.values == [0, 0], "this engine reports no log-probabilities"


def test_a_search_by_scores_needs_a_scorer() -> None:
    asked = Asked(a_problem(), _Letters(), EqualGrader(), None, 3)
    with pytest.raises(ValueError, match="scorer"):
        asyncio.run(BestOfN(n=1)(asked))
    with pytest.raises(ValueError, match="kind"):
        TypeAdapter(AnySearch).validate_python({"kind": "dfs"})
