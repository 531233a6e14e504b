"""How many requests an engine is given follows what it reports of its cache."""

import asyncio

import pytest

from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.gate import QUEUED, EngineGate, capacity_of
from stepforge.pipelines.engines.load import EngineLoad, Turns
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.schemas.protocols import Completion, Prompt, Sampling

pytestmark = pytest.mark.anyio
IDLE = EngineLoad(running=0, cache_usage=0.0, preemptions=0)


class Reported(ScriptedEngine):
    """Reports what it is told to."""

    max_num_seqs = 32
    load = IDLE


async def test_a_preemption_shrinks_the_window_to_what_ran_and_answers_widen_it_again() -> None:
    engine = Reported(ScriptedEngineSettings())
    turns = Turns(engine, 64)

    async def size(answers: int, **load: float) -> int:
        engine.load = IDLE._replace(**load)
        for _ in range(answers):
            await turns.take()
            turns.give_back()
        return turns.size

    assert await size(64, running=20, cache_usage=0.99, preemptions=3) == 20
    assert await size(64, running=12, cache_usage=0.99, preemptions=3) == 20, "it is counted once"
    assert await size(24, running=20, cache_usage=0.76, preemptions=3) == 22
    assert await size(10_000, preemptions=3) == 64
    assert await size(64, running=0, preemptions=4, cache_usage=0.99) == 1


class SmallCache(ScriptedEngine):
    """Has room for eight requests, and preempts one whenever more are under way."""

    max_num_seqs = 32

    def __init__(self) -> None:
        super().__init__(ScriptedEngineSettings(latency_ms=1))
        self.under_way: list[int] = []
        self.running = self.preemptions = 0

    @property
    def load(self) -> EngineLoad:
        return EngineLoad(min(self.running, 8), min(1.0, self.running / 8), self.preemptions)

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        self.running += 1
        self.under_way.append(self.running)
        self.preemptions += self.running > 8
        try:
            return await super().complete(prompt, seed=seed, sampling=sampling)
        finally:
            self.running -= 1


async def test_the_gate_settles_at_what_the_cache_holds() -> None:
    engine = SmallCache()
    gate = EngineGate(engine, capacity_of(ScriptedEngineSettings(), engine))
    assert gate.counters()["capacity"] == QUEUED * 32
    await asyncio.gather(*(gate.ask(Prompt(text="x"), seed=i, sampling=Sampling()) for i in range(400)))
    assert engine.under_way[:64] == list(range(1, 65)), "before the first report the bound alone holds"
    assert max(engine.under_way[200:]) <= 12
    assert 7 <= gate.counters()["capacity"] <= 12


@pytest.mark.parametrize("preempted", [0, 1])
async def test_no_turn_is_lost_when_the_window_shrinks_and_grows(preempted: int) -> None:
    engine = SmallCache()
    turns = Turns(engine, 5)
    for _ in range(5):
        await turns.take()
    engine.preemptions = preempted
    for _ in range(5):
        turns.give_back()
    engine.running = 0
    for _ in range(200):
        await asyncio.wait_for(turns.take(), 10)
        turns.give_back()
    assert turns.size == 5
