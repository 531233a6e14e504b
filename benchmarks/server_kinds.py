"""What a server can and cannot do, tried from outside: ``python -m benchmarks.server_kinds ADDRESS [KEY=VALUE ...]``.

Settings are those of ``[engine]`` with ``kind = "server"``. Each line is one thing tried, and what came of it.
"""

import asyncio
import sys
import time
import tomllib
from collections.abc import Mapping
from typing import Any

from stepforge.pipelines.engines import ServerEngineSettings
from stepforge.pipelines.engines.server_engine import ServerEngine
from stepforge.schemas.protocols import Completion, Message, Prompt, Sampling

QUESTION = "A sequence starts with 3. Each next term is 2 times the term before plus 1. Find term 6."


class Tried:
    """Asks one engine, and prints."""

    def __init__(self, engine: ServerEngine, *, chat: bool) -> None:
        self.engine = engine
        self.chat = chat

    async def ask(self, begun: str = "", seed: int = 1, ids: tuple[int, ...] = (), **how: Any) -> Completion:
        """Ask the question, with the beginning of a solution."""
        asked = f"{QUESTION}\n"
        turns = [Message(role="user", content=QUESTION)]
        if begun:
            turns.append(Message(role="assistant", content=begun))
        tokens = self.engine.encode(asked)
        prompt = Prompt(
            text=asked + begun,
            token_ids=(*tokens, *(ids or self.engine.encode(begun))) if tokens else (),
            turns=tuple(turns) if self.chat else (),
            session="tried",
        )
        sampling = Sampling(**{"max_tokens": 72, "temperature": 0.0} | how)
        return await self.engine.complete(prompt, seed=seed, sampling=sampling)


def say(what: str, came: object) -> None:
    print(f"{what:<44} {came}", flush=True)


async def going_on(tried: Tried, whole: Completion) -> None:
    """Continue from cuts of the likeliest solution, which must give its rest."""
    if tried.engine.cannot is not None:
        say("continues from the beginning of a solution", f"no: {tried.engine.cannot}")
        return
    cuts = [at + 1 for at, letter in enumerate(whole.text[:-1]) if letter == "\n" != whole.text[at + 1]]
    cuts = cuts or [len(whole.text) // 2]
    same = 0
    for cut in cuts[:3]:
        ids = tuple(t for t, end in zip(whole.token_ids, whole.token_ends, strict=True) if end <= cut)
        cut = whole.token_ends[len(ids) - 1] if ids else cut
        rest = await tried.ask(whole.text[:cut], ids=ids)
        same += rest.text.startswith(whole.text[cut : cut + 20])
    say("continues from the beginning of a solution", f"{same} of {len(cuts[:3])} cuts give the known rest")


async def try_all(address: str, options: Mapping[str, object]) -> None:
    began = time.monotonic()
    settings = ServerEngineSettings.model_validate({"address": address, "retries": 0, **options})
    engine = await ServerEngine.open(settings)
    tried = Tried(engine, chat=settings.api == "chat")
    try:
        say("model", engine.identity.model)
        whole = await tried.ask()
        say("likeliest solution", repr(whole.text[:70]) if whole.error is None else whole.error)
        counts = (whole.tokens, whole.prompt_tokens, whole.cached_tokens)
        say("finish, tokens, prompt tokens, cached", (whole.finish, *counts))
        say("exact tokens come back", len(whole.token_ids))
        say("log-probabilities come back", whole.mean_logprob)
        texts = [(await tried.ask(seed=seed, temperature=1.0)).text for seed in range(4)]
        say("4 seeds at temperature 1", f"{len(set(texts))} different texts")
        again = [(await tried.ask(seed=seed, temperature=1.0)).text for seed in range(4)]
        say("the same seeds again", f"{sum(a == b for a, b in zip(texts, again, strict=True))} of 4 the same")
        await going_on(tried, whole)
        stopped = await tried.ask(stop=("\n",))
        say("a stop text", f"{stopped.finish}, {stopped.text[:40]!r}" if stopped.error is None else stopped.error)
        short = await tried.ask(max_tokens=3)
        say("a limit of 3 tokens", (short.finish, short.tokens))
        long = await tried.ask(begun="x " * 20_000) if engine.cannot is None else await tried.ask(max_tokens=10**7)
        tokens = f"{long.tokens} tokens, {long.prompt_tokens} of the prompt"
        say("what is too long", long.error or f"{long.finish}, {tokens}")
    finally:
        await engine.close()
    say("seconds", round(time.monotonic() - began, 1))


def main() -> None:
    address, *options = sys.argv[1:]
    asyncio.run(try_all(address, tomllib.loads("\n".join(options))))


if __name__ == "__main__":
    main()
