"""An engine that counts what it is asked."""

import asyncio

from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.schemas.protocols import Completion, EngineDead, Prompt, Sampling

PROMPT = Prompt(text="Ann has 3 coins.\n")
SAMPLING = Sampling(max_tokens=200)


class Counted(ScriptedEngine):
    """Counts what it is asked, and may die."""

    asked = 0
    dies_after = 10**9

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        if self.asked >= self.dies_after:
            raise EngineDead("as asked")
        self.asked += 1
        await asyncio.sleep(0)
        return await super().complete(prompt, seed=seed, sampling=sampling)


def counted(**settings: float) -> Counted:
    return Counted(ScriptedEngineSettings.model_validate(settings))


def completion(text: str = "3 + 4 = 7\n", **fields: object) -> Completion:
    ids = tuple(range(len(text)))
    whole = {"text": text, "token_ids": ids, "token_ends": tuple(i + 1 for i in ids), "finish": "stop", "tokens": 11}
    return Completion.model_validate(whole | fields)
