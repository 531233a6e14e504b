"""What is let into an engine: its capacity, its busy time, and answers that cannot be true."""

import asyncio
from random import Random

import pytest
from some_completions import PROMPT, SAMPLING, completion

from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.gate import BusyClock, EngineGate, sound
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.schemas.protocols import Completion, Prompt, Sampling

pytestmark = pytest.mark.anyio


async def test_no_more_than_the_capacity_is_under_way() -> None:
    class Full(ScriptedEngine):
        running = most = 0

        async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0.001)
            self.running -= 1
            return await super().complete(prompt, seed=seed, sampling=sampling)

    engine = Full(ScriptedEngineSettings())
    gate = EngineGate(engine, 7)
    tasks = [asyncio.create_task(gate.ask(PROMPT, seed=i, sampling=SAMPLING)) for i in range(60)]
    await asyncio.sleep(0.002)
    tasks[-1].cancel()  # one that waits gives its place up, and nobody is left behind
    await asyncio.gather(*tasks, return_exceptions=True)
    assert engine.most == 7
    counters = gate.counters()
    assert (counters["running"], counters["waiting"], counters["rollouts"], counters["capacity"]) == (0, 0, 59, 7)


async def test_a_request_behind_others_in_the_engine_is_not_given_up() -> None:
    class OneByOne(ScriptedEngine):
        def __init__(self) -> None:
            super().__init__(ScriptedEngineSettings())
            self.turn = asyncio.Lock()

        async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
            async with self.turn:
                await asyncio.sleep(0.05)
                return await super().complete(prompt, seed=seed, sampling=sampling)

    gate = EngineGate(OneByOne(), 100, limit=0.4)
    answers = await asyncio.gather(*(gate.ask(PROMPT, seed=i, sampling=SAMPLING) for i in range(20)))
    assert [answer.completion.finish for answer in answers] == ["stop"] * 20


async def test_a_hung_request_is_given_up_though_later_ones_are_answered() -> None:
    class FirstHangs(ScriptedEngine):
        async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
            await (asyncio.sleep(0.01) if seed else asyncio.Event().wait())
            return await super().complete(prompt, seed=seed, sampling=sampling)

    gate = EngineGate(FirstHangs(ScriptedEngineSettings()), 100, limit=0.1)
    others = asyncio.create_task(gate.ask(PROMPT, seed=1, sampling=SAMPLING))  # the only one before it
    await asyncio.sleep(0)
    hung = asyncio.create_task(gate.ask(PROMPT, seed=0, sampling=SAMPLING))
    async with asyncio.timeout(60):
        while not hung.done():
            await gate.ask(PROMPT, seed=2, sampling=SAMPLING)
    assert (await others, await hung)[1].completion.error == "no answer within 0.1 s; aborted"


def test_shares_of_the_engines_time_add_up_to_its_busy_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("stepforge.pipelines.engines.gate.time.monotonic", lambda: now[0])
    clock, rng = BusyClock(), Random(3)
    open_at: list[float] = []
    shares = 0.0
    for _ in range(400):
        now[0] += rng.random()
        if open_at and rng.random() < 0.5:
            began = open_at.pop(rng.randrange(len(open_at)))
            shares += clock.stop() - began
        else:
            open_at.append(clock.start())
    for began in open_at:
        shares += clock.stop() - began
    now[0] += 100.0  # idle
    assert shares == pytest.approx(clock.busy())
    assert 0 < clock.busy() < now[0] - 99


@pytest.mark.parametrize(
    ("given_back", "message"),
    [
        (completion(tokens=0), "without a token"),
        (completion(token_ids=(1, 2), token_ends=(1,)), "do not match"),
        (completion(token_ids=(1, 2), token_ends=(1, 2)), "do not match"),
        (completion("ab", token_ids=(1, -2), token_ends=(1, 2)), "do not match"),
    ],
)
def test_an_answer_that_cannot_be_true_is_an_error_of_the_engine(given_back: Completion, message: str) -> None:
    judged = sound(given_back)
    assert judged.finish == "error"
    assert judged.error is not None
    assert message in judged.error


def test_a_sound_answer_passes() -> None:
    assert sound(completion()) == completion()
    assert sound(completion("", token_ids=(), token_ends=(), tokens=1)).finish == "stop"
