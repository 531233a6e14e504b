"""How much of the engine the labeling uses: tokens/s while labeling against the same vLLM's offline ``generate``.

    python benchmarks/engine_utilization.py

In each round problems are labeled with ``omega_prm`` on one engine, a number of them under way at a time as in a run,
through its gate and its journal and on the event loop that Ray gives a worker, and every request is recorded; then
vLLM's own ``LLM.generate`` is given the recorded prompts in one batch, each to be continued by as many tokens as it
was. Both start with an empty prefix cache.
*Flowing* is the speed up to the moment at which the last problem is begun: a run is in that state until its last
shards. *Whole* includes the end, when the searches that are left no longer fill the engine; the more problems, the
less it weighs. Ratios are taken round by round, because these machines are noisy; the median is what counts.
"""

import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import typer
import uvloop

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import OmegaPRM
from stepforge.pipelines.engines import VllmEngineSettings, open_engine
from stepforge.pipelines.engines.gate import EngineGate, capacity_of
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.vllm_arguments import vllm_arguments
from stepforge.pipelines.engines.wrapped_engine import WrappedEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.garbage_collection import collect_seldom
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.journal import Journal
from stepforge.schemas.protocols import Completion, Engine, Prompt, Sampling
from stepforge.schemas.rollout import SolvedProblem

RESULTS = Path(__file__).parent / "results" / "engine_utilization.json"
MAX_TOKENS = 240
PROBLEMS, IN_FLIGHT = 1000, 128
"""Problems in all, and those under way at a time."""


class Request(NamedTuple):
    """One rollout that labeling asked for."""

    token_ids: tuple[int, ...]
    seed: int
    tokens: int
    ended: float
    """When it was answered, in seconds of ``time.perf_counter``."""


class Labeling(NamedTuple):
    """What labeling took and asked for; times in seconds of ``time.perf_counter``."""

    began: float
    last_begun: float
    """When the last problem was begun."""
    ended: float
    requests: list[Request]

    @property
    def flowing(self) -> float:
        """Tokens a second while there were problems to begin; those of requests then under way do not count."""
        return sum(r.tokens for r in self.requests if r.ended <= self.last_begun) / (self.last_begun - self.began)

    @property
    def whole(self) -> float:
        return sum(r.tokens for r in self.requests) / (self.ended - self.began)


class Recorder(WrappedEngine):
    """An engine that keeps what passes through it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.requests: list[Request] = []

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        completion = await self.engine.complete(prompt, seed=seed, sampling=sampling)
        self.requests.append(Request(prompt.token_ids, seed, completion.tokens, time.perf_counter()))
        return completion

    async def close(self) -> None:
        await self.engine.close()


async def labeling(settings: VllmEngineSettings, problems: int, in_flight: int) -> Labeling:
    """Return how labeling went. Solving is done before and not timed."""
    recorder, grader, folder = Recorder(await open_engine(settings)), PooledGrader(), TemporaryDirectory()
    journal = Journal(Path(folder.name) / "journal")
    engine = JournaledEngine(EngineGate(recorder, capacity_of(settings, recorder.engine)), journal)
    policy = PromptedPolicy(engine, PolicySettings(max_tokens=MAX_TOKENS, answer="stated"))
    try:
        asked = [ALL_FAMILIES[i % len(ALL_FAMILIES)]().item(31, i) for i in range(problems)]
        rows = await asyncio.gather(*(solve(p, [], policy, grader, n=4, seed=31) for p in asked))
        kept = [row for row in rows if 0.4 <= (row.pass_rate or 0) < 1]
        if len(kept) <= in_flight:
            raise SystemExit(f"{len(kept)} problems to label and {in_flight} under way: too few")
        recorder.requests.clear()
        began = time.perf_counter()
        waiting = iter(kept)
        last_begun = await asyncio.gather(*(_label_on(waiting, policy, grader) for _ in range(in_flight)))
        return Labeling(began, max(last_begun), time.perf_counter(), list(recorder.requests))
    finally:
        await journal.close()
        await recorder.close()
        await grader.close()
        folder.cleanup()


async def _label_on(waiting: Iterator[SolvedProblem], policy: PromptedPolicy, grader: PooledGrader) -> float:
    """Label one problem after the other while there are any; return when the last was begun."""
    begun = 0.0
    for row in waiting:
        begun = time.perf_counter()
        await OmegaPRM(k=8, search_limit=8)(row, policy, grader, seed=31)
    return begun


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


def main(rounds: int = 3) -> None:
    settings = VllmEngineSettings(model="embedded", threads=1)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    done: list[dict[str, Any]] = []
    collect_seldom()  # as workers do
    for number in range(rounds):
        done.append(_round(settings, number))
        ratios = {name: statistics.median(r[f"{name}_ratio"] for r in done) for name in ("flowing", "whole")}
        found = {"median_ratio": ratios, "problems": PROBLEMS, "rounds": done, "machine": machine}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\nmedian ratio {ratios['flowing']:.3f} flowing, {ratios['whole']:.3f} whole ({rounds} rounds)\n{machine}")


def _round(settings: VllmEngineSettings, number: int) -> dict[str, Any]:
    went = uvloop.run(labeling(settings, PROBLEMS, IN_FLIGHT))
    offline_seconds, offline_tokens = offline(settings, went.requests)
    rate = offline_tokens / offline_seconds
    if number == 0:
        print(f"{'requests':>9} {'tokens':>8} {'flowing tok/s':>14} {'whole':>7} {'offline':>8} {'ratios':>12}")
    print(
        f"{len(went.requests):9} {offline_tokens:8} {went.flowing:14.0f} {went.whole:7.0f} {rate:8.0f} "
        f"{went.flowing / rate:6.3f} {went.whole / rate:6.3f}",
        flush=True,
    )
    return {
        "requests": len(went.requests),
        "tokens": offline_tokens,
        "flowing_seconds": round(went.last_begun - went.began, 1),
        "whole_seconds": round(went.ended - went.began, 1),
        "flowing_tokens_per_second": round(went.flowing),
        "whole_tokens_per_second": round(went.whole),
        "offline_tokens_per_second": round(rate),
        "flowing_ratio": round(went.flowing / rate, 4),
        "whole_ratio": round(went.whole / rate, 4),
    }


if __name__ == "__main__":
    typer.run(main)
