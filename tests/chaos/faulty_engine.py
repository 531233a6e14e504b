"""A scripted engine with which things go wrong: it hangs, it is slow, it answers nonsense, it dies."""

import asyncio
from dataclasses import dataclass
from functools import partial
from random import Random

from stepforge.pipelines.engines import ScriptedEngineSettings, scripted_engine
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.schemas.protocols import Completion, EngineDead, Prompt, Sampling
from stepforge.schemas.seeds import rng_of

SLOW = 100
"""How many times longer a slow request takes."""


@dataclass(frozen=True)
class Faults:
    """Which requests are hit follows from their seeds, so that a run with faults can be repeated too."""

    hang_rate: float = 0.0
    """Share of the requests that are never answered."""
    slow_rate: float = 0.0
    """Share of the requests that take 100 times ``latency_ms``."""
    garbage_rate: float = 0.0
    """Share of the requests whose answer cannot be true: its tokens do not fit its text."""
    dies_after: int | None = None
    """Requests after which the engine is dead, each time it was started."""
    dead_on_start: bool = False

    def __call__(self) -> None:
        """Make every scripted engine that this process opens a faulty one."""
        scripted_engine.ScriptedEngine = partial(FaultyEngine, faults=self)  # type: ignore[assignment, misc]


class FaultyEngine(ScriptedEngine):
    """What is not hit by a fault is answered as by the engine without faults."""

    def __init__(self, settings: ScriptedEngineSettings, faults: Faults) -> None:
        if faults.dead_on_start:
            raise EngineDead("dead on start")
        super().__init__(settings)
        self._faults = faults
        self._slowness = (SLOW - 1) * settings.latency_ms / 1000
        self._asked = 0

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        self._asked += 1
        if self._faults.dies_after is not None and self._asked > self._faults.dies_after:
            raise EngineDead(f"dead after {self._faults.dies_after} requests")
        rng = rng_of("fault", seed)
        if rng.random() < self._faults.hang_rate:
            await asyncio.Event().wait()
        if rng.random() < self._faults.slow_rate:
            await asyncio.sleep(self._slowness)
        answer = await super().complete(prompt, seed=seed, sampling=sampling)
        return _garbled(answer, rng) if rng.random() < self._faults.garbage_rate else answer


def _garbled(answer: Completion, rng: Random) -> Completion:
    """An answer that cannot be true: its tokens cannot be those of its text."""
    updates: list[dict[str, object]] = [
        {"tokens": 0},
        {"token_ids": (*answer.token_ids, 7)},
        {
            "token_ids": tuple(-1 - i for i in (*answer.token_ids, 0)),
            "text": answer.text + "x",
            "token_ends": (*answer.token_ends, len(answer.text) + 1),
        },
        {"text": answer.text + "?"},
        {"text": "ab", "token_ids": (97, 98, 99), "token_ends": (2, 1, 2)},
    ]
    return answer.model_copy(update=rng.choice(updates))
