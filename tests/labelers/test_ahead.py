"""Asking ahead changes when answers come, and nothing else; what is not needed is cancelled, in the engine too."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import MathShepherd, OmegaPRM, Sequential
from stepforge.labelers.contracts import Labeler
from stepforge.labelers.evidence.ahead import Ahead
from stepforge.labelers.evidence.store import Evidence, solution_trajectory
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.storage.journal import Journal
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import seed_of
from tests.fakes import EqualGrader, KnownPolicy, a_solution, solved


class Unhurried(KnownPolicy):
    """Answers in an order that has nothing to do with that of the questions, and keeps count of what is under way."""

    def __init__(self, shares: float, order: int = 0) -> None:
        super().__init__(lambda prefix: shares)
        self.order = order
        self.under_way = self.most = self.cancelled = 0

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(Random(seed_of(seed, self.order)).randrange(20)):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        return await super().sample(problem, prefix, n=n, seed=seed)


def labeled(part: Labeler, policy: Unhurried) -> LabeledProblem:
    wrong = (a_solution("one", "abCdefg", "wrong"), a_solution("two", "abcDefg", "wrong"))
    row = solved(*wrong, a_solution("three", "abcdefg", "correct"))
    return asyncio.run(part(row, policy, EqualGrader(), seed=3))


@pytest.mark.parametrize("part", [MathShepherd, OmegaPRM, Sequential])
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_labels_and_evidence_are_the_same_however_far_ahead_is_asked(
    part: type[MathShepherd | OmegaPRM | Sequential], share: float
) -> None:
    asked = {}
    for ahead in (1, 2, 5, 20):
        rows = []
        for order in range(3):
            policy = Unhurried(share, order)
            rows.append(labeled(part(k=8, curtailed=True, ahead=ahead), policy))
            assert policy.under_way == 0
            asked[ahead] = policy
        assert rows[0] == rows[1] == rows[2]
        asked[ahead, "row"] = rows[0]
    assert asked[1, "row"] == asked[2, "row"] == asked[5, "row"] == asked[20, "row"]
    assert asked[20].most > asked[1].most
    assert (asked[20].cancelled > 0) == (share > 0)
    assert asked[1].cancelled == 0


def test_a_failure_ahead_of_what_is_needed_is_none() -> None:
    async def ask(number: int) -> int:
        if number > 2:
            raise RuntimeError("the engine failed over what nobody asked for")
        await asyncio.sleep(0.01)
        return number

    async def first_two(most: int) -> list[int]:
        async with Ahead(ask, range(10), most) as answers:
            return [await answers.next(), await answers.next()]

    assert asyncio.run(first_two(1)) == asyncio.run(first_two(6)) == [0, 1]


def test_a_failure_that_is_needed_ends_it_and_leaves_nothing_under_way() -> None:
    ended: list[int] = []

    async def ask(number: int) -> int:
        try:
            if number == 1:
                raise RuntimeError("no answer")
            await asyncio.sleep(0.01 if number == 0 else 60)
        finally:
            ended.append(number)
        return number

    async def all_of_them() -> None:
        async with Ahead(ask, range(5), 5) as answers:
            while True:
                await answers.next()

    with pytest.raises(RuntimeError, match="no answer"):
        asyncio.run(all_of_them())
    assert sorted(ended) == [0, 1, 2, 3, 4]


class Silent(KnownPolicy):
    """Never answers."""

    def __init__(self, expected: int) -> None:
        super().__init__(lambda prefix: 0.0)
        self.expected = expected
        self.under_way = 0
        self.all_begun = asyncio.Event()

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        self.under_way += 1
        if self.under_way == self.expected:
            self.all_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.under_way -= 1
        return []


def test_a_search_that_is_cancelled_cancels_what_it_asked_ahead() -> None:
    solution = a_solution("one", "abC", "wrong")

    async def begin_and_leave() -> Silent:
        policy = Silent(expected=6)
        evidence = Evidence(solved(solution), policy, EqualGrader(), 5)
        search = asyncio.create_task(evidence.until_success(solution_trajectory(solution), 1, 8, ahead=6))
        await asyncio.wait_for(policy.all_begun.wait(), 10)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        return policy

    assert asyncio.run(begin_and_leave()).under_way == 0


def test_requests_behind_the_first_success_are_cancelled_in_the_engine(tmp_path: Path) -> None:
    """Through the gate and the journal: the places are free again, and nothing of them is counted."""
    question = Problem(id="p", source="test", domain="test", question="x", answer="1", answer_kind="integer", group="p")

    async def ask() -> tuple[list[Rollout], EngineGate]:
        engine = ScriptedEngine(ScriptedEngineSettings(kind="scripted", latency_ms=20, error_rate=0.0))
        gate, journal = EngineGate(engine, capacity=4), Journal(tmp_path / "journal")
        policy = PromptedPolicy(JournaledEngine(gate, journal), PolicySettings())

        async def draw(seed: int) -> list[Rollout]:
            return await policy.sample(question, (), n=1, seed=seed)

        async with Ahead(draw, range(12), 12) as draws:
            first = await draws.next()
        await journal.close()
        return first, gate

    first, gate = asyncio.run(ask())
    assert len(first) == 1
    counted = gate.counters()
    assert (counted["running"], counted["waiting"]) == (0, 0)
    assert 4 <= counted["rollouts"] + counted["cancelled"] <= 8, "the engine's four places, taken at most twice"
