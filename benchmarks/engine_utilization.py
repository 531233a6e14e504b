"""How much of the engine the labeling uses: tokens/s while labeling against the same vLLM's offline ``generate``.

    python -m benchmarks.engine_utilization
    python -m benchmarks.engine_utilization --model Qwen/Qwen2.5-Math-1.5B-Instruct --problems 400 --in-flight 24

In each round problems are labeled with ``omega_prm`` on one engine, a number of them under way at a time as in a run,
through its gate and its journal and on the event loop that Ray gives a worker, and every request is recorded; then
vLLM's own ``LLM.generate`` is given the recorded prompts in one batch, each to be continued by as many tokens as it
was. Both start with an empty prefix cache.
*Flowing* is the speed until the last problem is begun: a run is in that state until its last shards. Of a request that
is then under way, those tokens count that lie before, as if they came evenly between request and answer. *Whole* is all
of it, with the end, when the searches that are left no longer fill the engine; the more problems, the less it weighs.
*Fill* is the engine's median batch while flowing, as a share of the most that it computes together. Ratios are taken
round by round, because machines are noisy; the median is what counts.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import typer
import uvloop

from benchmarks.measured import machine
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import OmegaPRM
from stepforge.pipelines.engines.gate import EngineGate, capacity_of
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.settings import EMBEDDED, VllmEngineSettings
from stepforge.pipelines.engines.text_engine import WrappedEngine
from stepforge.pipelines.engines.vllm_arguments import vllm_arguments
from stepforge.pipelines.engines.vllm_engine import VllmEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.garbage_collection import collect_seldom
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.journal import Journal
from stepforge.schemas.protocols import Completion, Prompt, Sampling
from stepforge.schemas.rollout import SolvedProblem

RESULTS = Path(__file__).parent / "results" / "engine_utilization.json"
MAX_TOKENS = 240
OWN = PolicySettings(max_tokens=MAX_TOKENS, answer="stated")
CHAT = PolicySettings(
    prompt="{question}\nReason step by step, one step a line, and put the final answer within \\boxed{}.",
    chat=True,
    max_tokens=MAX_TOKENS,
)
"""How the embedded model is asked, and any other."""


class Request(NamedTuple):
    token_ids: tuple[int, ...]
    seed: int
    tokens: int
    began: float
    ended: float
    """When it was given to the engine, and when it was answered."""
    running: int
    """Requests that the engine then computed together."""

    def before(self, moment: float) -> float:
        """Return how many of its tokens came before a moment."""
        return self.tokens * min(1.0, max(0.0, moment - self.began) / (self.ended - self.began))


class Labeling(NamedTuple):
    """What labeling asked for; times in seconds of ``time.perf_counter``."""

    began: float
    last_begun: float
    """When the last problem was begun."""
    ended: float
    requests: list[Request]
    most: int
    """Requests that the engine computes together at most."""

    def figures(self, offline: float) -> dict[str, float]:
        """Return the speeds in tokens per second, and compared with the offline batch's."""
        flowing = sum(r.before(self.last_begun) for r in self.requests) / (self.last_begun - self.began)
        whole = sum(r.tokens for r in self.requests) / (self.ended - self.began)
        running = statistics.median(r.running for r in self.requests if r.ended < self.last_begun)
        return {
            "requests": len(self.requests),
            "flowing_seconds": round(self.last_begun - self.began, 1),
            "whole_seconds": round(self.ended - self.began, 1),
            "flowing_tokens_per_second": round(flowing),
            "whole_tokens_per_second": round(whole),
            "offline_tokens_per_second": round(offline),
            "fill": round(running / self.most, 3),
            "flowing_ratio": round(flowing / offline, 3),
            "whole_ratio": round(whole / offline, 3),
        }


class Recorder(WrappedEngine):
    def __init__(self, vllm: VllmEngine) -> None:
        super().__init__(vllm)
        self.vllm = vllm
        self.requests: list[Request] = []

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        began = time.perf_counter()
        found = await self.vllm.complete(prompt, seed=seed, sampling=sampling)
        running = self.vllm.load.running
        self.requests.append(Request(prompt.token_ids, seed, found.tokens, began, time.perf_counter(), running))
        return found

    async def close(self) -> None:
        await self.vllm.close()


async def labeling(settings: VllmEngineSettings, problems: int, in_flight: int) -> Labeling:
    """Return how labeling went. Solving is done before and not timed."""
    vllm, grader, folder = await VllmEngine.open(settings), PooledGrader(), TemporaryDirectory()
    recorder, journal = Recorder(vllm), Journal(Path(folder.name) / "journal")
    engine = JournaledEngine(EngineGate(recorder, capacity_of(settings, vllm)), journal)
    policy = PromptedPolicy(engine, OWN if settings.model == EMBEDDED else CHAT)
    try:
        asked = [ALL_FAMILIES[i % len(ALL_FAMILIES)]().item(31, i) for i in range(problems)]
        rows = await asyncio.gather(*(solve(p, [], policy, grader, n=4, seed=31) for p in asked))
        kept = [row for row in rows if 0.4 <= (row.pass_rate or 0) < 1]
        if len(kept) <= in_flight:
            raise SystemExit(f"{len(kept)} problems to label and {in_flight} under way: too few")
        recorder.requests.clear()
        waiting, begun = iter(kept), list[float]()
        await asyncio.gather(*(_label_on(waiting, begun, policy, grader) for _ in range(in_flight)))
        ended = time.perf_counter()
        return Labeling(begun[0], begun[-1], ended, list(recorder.requests), vllm.max_num_seqs)
    finally:
        await journal.close()
        await recorder.close()
        await grader.close()
        folder.cleanup()


async def _label_on(
    waiting: Iterator[SolvedProblem], begun: list[float], policy: PromptedPolicy, grader: PooledGrader
) -> None:
    """Label one problem after the other while there are any, and note when each was begun."""
    for row in waiting:
        begun.append(time.perf_counter())
        await OmegaPRM(k=8, search_limit=8)(row, policy, grader, seed=31)


def offline(settings: VllmEngineSettings, requests: list[Request]) -> float:
    """Return the tokens per second of vLLM's own batch on the recorded continuations."""
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
    return sum(len(output.outputs[0].token_ids) for output in outputs) / seconds


def main(model: str = EMBEDDED, problems: int = 2000, in_flight: int = 128, rounds: int = 3) -> None:
    settings = VllmEngineSettings(model=model, threads=1)
    done: list[dict[str, float]] = []
    collect_seldom()  # as workers do
    for _ in range(rounds):
        went = uvloop.run(labeling(settings, problems, in_flight))
        done.append(went.figures(offline(settings, went.requests)))
        print(json.dumps(done[-1]), flush=True)
    medians = {name: statistics.median(one[name] for one in done) for name in ("flowing_ratio", "whole_ratio")}
    found = {"model": model, "problems": problems, "in_flight": in_flight, **medians, "rounds": done}
    print(json.dumps({**medians, "machine": machine()}))
    if model == EMBEDDED:
        RESULTS.write_text(json.dumps({**found, "machine": machine()}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
