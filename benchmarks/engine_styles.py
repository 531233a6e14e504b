"""Which way of driving vLLM is the faster here: stepped in this process, computing in its own, or ``AsyncLLM``.

    python benchmarks/engine_styles.py

The same requests, all at once, each style in a process of its own, in several rounds because machines are noisy. Ratios
are against the first style, which ``multiprocessing = false`` in the run file asks for; the second is the default.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.pipelines.engines import VllmEngineSettings, open_engine
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.vllm_engine import thread_variables, vllm_arguments
from stepforge.schemas.seeds import seed_of

RESULTS = Path(__file__).parent / "results" / "engine_styles.json"
STYLES = ("stepped", "multiprocessing", "AsyncLLM")
MAX_TOKENS = 240
SAMPLES = 8


async def ours(settings: VllmEngineSettings, problems: int) -> tuple[float, int]:
    """Return seconds and tokens of our engine, after a first small batch that is not timed."""
    engine = await open_engine(settings)
    policy = PromptedPolicy(engine, PolicySettings(max_tokens=MAX_TOKENS))
    asked = [ALL_FAMILIES[i % len(ALL_FAMILIES)]().item(17, i) for i in range(problems)]
    try:
        await policy.sample(asked[0], (), n=SAMPLES, seed=1)
        began = time.perf_counter()
        found = await asyncio.gather(*(policy.sample(p, (), n=SAMPLES, seed=2) for p in asked))
        return time.perf_counter() - began, sum(r.tokens for rollouts in found for r in rollouts)
    finally:
        await engine.close()


async def asynchronous(settings: VllmEngineSettings, problems: int) -> tuple[float, int]:
    """Return seconds and tokens of vLLM's ``AsyncLLM`` on the same prompts."""
    from vllm import AsyncEngineArgs, SamplingParams, TokensPrompt
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    from stepforge.pipelines.engines.tokenization import load_tokenizer

    if settings.threads is not None:
        os.environ.update(thread_variables(settings.threads))
    model = locate(settings.model)
    arguments = {k: v for k, v in vllm_arguments(settings, model).items() if k != "use_tqdm_on_load"}
    engine, tokenizer = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), load_tokenizer(model, None)
    asked = [ALL_FAMILIES[i % len(ALL_FAMILIES)]().item(17, i) for i in range(problems)]

    async def one(number: int, question: str, seed: int) -> int:
        prompt = TokensPrompt(prompt_token_ids=list(tokenizer.encode(question + "\n")))
        parameters = SamplingParams(
            max_tokens=MAX_TOKENS, seed=seed, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
        )
        last = None
        async for output in engine.generate(prompt, parameters, f"{number}-{seed}"):
            last = output
        return len(last.outputs[0].token_ids) if last else 0

    try:
        await one(-1, asked[0].question, 1)
        began = time.perf_counter()
        counts = await asyncio.gather(
            *(one(i, p.question, seed_of(2, i, k)) for i, p in enumerate(asked) for k in range(SAMPLES))
        )
        return time.perf_counter() - began, sum(counts)
    finally:
        engine.shutdown()


def measure(style: str, problems: int) -> dict[str, Any]:
    """Measure one style in this process."""
    settings = VllmEngineSettings(multiprocessing=style != "stepped")
    work = asynchronous(settings, problems) if style == "AsyncLLM" else ours(settings, problems)
    seconds, tokens = asyncio.run(work)
    return {"style": style, "tokens": tokens, "tokens_per_second": round(tokens / seconds)}


def main() -> None:
    """Measure every style in a fresh process, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--style", choices=STYLES, help="measure one style here and print it as JSON")
    chosen = parser.parse_args()
    if chosen.style:
        print(json.dumps(measure(chosen.style, chosen.problems)))
        return
    rates: dict[str, list[int]] = {style: [] for style in STYLES}
    for _ in range(chosen.rounds):
        for style in STYLES:
            command = [sys.executable, __file__, "--style", style, "--problems", str(chosen.problems)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{style} failed: {done.stderr.strip().splitlines()[-1:]}")
            rates[style].append(json.loads(done.stdout.strip().splitlines()[-1])["tokens_per_second"])
    machine = f"{os.cpu_count()} logical CPUs ({platform.machine()}), Python {platform.python_version()}"
    print(f"{machine}\n{'style':>16} {'tokens/s':>9} {'ratio':>6}")
    base = statistics.median(rates[STYLES[0]])
    rows = [{"style": s, "tokens_per_second": statistics.median(r), "rounds": r} for s, r in rates.items()]
    for row in rows:
        row["ratio"] = round(row["tokens_per_second"] / base, 3)
        print(f"{row['style']:>16} {row['tokens_per_second']:>9.0f} {row['ratio']:>6.2f}")
    RESULTS.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
