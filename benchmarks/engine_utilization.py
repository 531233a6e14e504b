"""How much of the engine the labelling uses: tokens/s while labelling against the same vLLM's offline ``generate``.

    python benchmarks/engine_utilization.py

Each round, in one process: problems are labelled with ``omega_prm``, all searches at once on one engine, through the
gate and the journal of a real run, and every request is recorded; then vLLM's own ``LLM.generate`` is given the
recorded prompts in one batch, each to be continued by as many tokens as it was. Both start with an empty prefix cache.
The ratio is taken round by round, because these machines are noisy; the median is what counts.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from generators.families import ALL_FAMILIES
from generators.policy import PolicySettings, PromptedPolicy
from labelers import OmegaPRM
from pipelines.engine_gate import EngineGate, capacity_of
from pipelines.engines import VllmEngineSettings, open_engine
from pipelines.engines.model_files import locate
from pipelines.engines.vllm_engine import vllm_arguments
from pipelines.grading import PooledGrader
from pipelines.journal import Journal
from pipelines.journaled_engine import JournaledEngine
from pipelines.stages import solve
from schemas.protocols import Completion, Engine, EngineIdentity, Message, Prompt, Sampling
from schemas.rollout import SolvedProblem
from schemas.seeds import seed_of

RESULTS = Path(__file__).parent / "results" / "engine_utilization.json"
MAX_TOKENS = 240


class Request(NamedTuple):
    """One rollout that labelling asked for."""

    token_ids: tuple[int, ...]
    seed: int
    tokens: int


class Recorder:
    """An engine that keeps what passes through it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.requests: list[Request] = []

    @property
    def identity(self) -> EngineIdentity:
        return self.engine.identity

    async def complete(
        self, prompt: Prompt, *, n: int, seed: int, sampling: Sampling, first: int = 0
    ) -> list[Completion]:
        completions = await self.engine.complete(prompt, n=n, seed=seed, sampling=sampling, first=first)
        self.requests += [
            Request(prompt.token_ids, seed_of(seed, i), c.tokens) for i, c in enumerate(completions, start=first)
        ]
        return completions

    @property
    def special_tokens(self) -> frozenset[str]:
        return self.engine.special_tokens

    def encode(self, text: str) -> tuple[int, ...]:
        return self.engine.encode(text)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        return self.engine.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        return self.engine.chat(messages)

    async def close(self) -> None:
        await self.engine.close()


async def labelling(settings: VllmEngineSettings, problems: int) -> tuple[float, list[Request]]:
    """Return the seconds that labelling took, and what it asked for. Solving is done before and not timed."""
    recorder, grader, folder = Recorder(await open_engine(settings)), PooledGrader(), TemporaryDirectory()
    journal = Journal(Path(folder.name) / "journal")
    engine = JournaledEngine(EngineGate(recorder, capacity_of(settings)), journal)
    policy = PromptedPolicy(engine, PolicySettings(max_tokens=MAX_TOKENS, answer="stated"))
    try:
        asked = [ALL_FAMILIES[i % len(ALL_FAMILIES)]().item(31, i) for i in range(problems)]
        rows = await asyncio.gather(*(solve(p, [], policy, grader, n=4, seed=31) for p in asked))
        kept = [row for row in rows if 0.4 <= (row.pass_rate or 0) < 1]
        recorder.requests.clear()
        began = time.perf_counter()
        await asyncio.gather(*(_label(row, policy, grader) for row in kept))
        return time.perf_counter() - began, list(recorder.requests)
    finally:
        await journal.close()
        await recorder.close()
        await grader.close()
        folder.cleanup()


async def _label(row: SolvedProblem, policy: PromptedPolicy, grader: PooledGrader) -> None:
    await OmegaPRM(k=8, search_limit=8)(row, policy, grader, seed=31)


def offline(settings: VllmEngineSettings, requests: list[Request]) -> tuple[float, int]:
    """Return the seconds and tokens of vLLM's own batch on the recorded continuations."""
    import torch
    from vllm import LLM, SamplingParams, TokensPrompt

    torch.set_num_threads(settings.threads or torch.get_num_threads())
    llm = LLM(**vllm_arguments(settings, locate(settings.model)))
    prompts = [TokensPrompt(prompt_token_ids=list(r.token_ids)) for r in requests]
    sampling = [
        SamplingParams(temperature=1.0, seed=r.seed, max_tokens=r.tokens, ignore_eos=True, detokenize=False)
        for r in requests
    ]
    began = time.perf_counter()
    outputs = llm.generate(prompts, sampling, use_tqdm=False)
    seconds = time.perf_counter() - began
    llm.llm_engine.engine_core.shutdown()
    return seconds, sum(len(output.outputs[0].token_ids) for output in outputs)


def main() -> None:
    """Measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    settings = VllmEngineSettings(model="embedded", threads=arguments.threads)
    rounds = [_round(settings, arguments.problems, number) for number in range(arguments.rounds)]
    ratio = statistics.median(r["ratio"] for r in rounds)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"\nmedian ratio {ratio:.3f} over {len(rounds)} rounds ({machine})")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"median_ratio": ratio, "rounds": rounds, "machine": machine}, indent=1) + "\n")


def _round(settings: VllmEngineSettings, problems: int, number: int) -> dict[str, Any]:
    seconds, requests = asyncio.run(labelling(settings, problems))
    tokens = sum(r.tokens for r in requests)
    offline_seconds, offline_tokens = offline(settings, requests)
    label_rate, offline_rate = tokens / seconds, offline_tokens / offline_seconds
    result = {
        "requests": len(requests),
        "tokens": tokens,
        "labelling_tokens_per_second": round(label_rate),
        "offline_tokens_per_second": round(offline_rate),
        "ratio": round(label_rate / offline_rate, 4),
    }
    if number == 0:
        print(f"{'requests':>9} {'tokens':>8} {'labelling tok/s':>16} {'offline tok/s':>14} {'ratio':>6}")
    print(
        f"{len(requests):9} {tokens:8} {label_rate:16.0f} {offline_rate:14.0f} {label_rate / offline_rate:6.3f}",
        flush=True,
    )
    return result


if __name__ == "__main__":
    main()
