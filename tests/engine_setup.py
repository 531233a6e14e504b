"""What the engine tests share: a tiny model, one event loop per module, and a real vLLM server on loopback."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from stepforge.generators.policy import complete_each
from stepforge.pipelines.engines import EMBEDDED
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.schemas.protocols import Completion, Engine, Prompt, Sampling

Result = TypeVar("Result")
CONTEXT = 512
QUESTION = "A sequence starts with 3. Each next term is 2 times the term before plus 1. Find term 9.\n"


def tiny_model(folder: Path) -> Path:
    """Copy the embedded policy, or where the checkout has none make a model with random weights."""
    if (embedded_folder() / "model.safetensors").is_file():
        return Path(shutil.copytree(embedded_folder(), folder / EMBEDDED))
    return random_model(folder)


def random_model(folder: Path) -> Path:
    """Make a model with random weights, whose two heads may be computed by two processes."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from benchmarks.embedded_policy.tokenizer import train_tokenizer

    train_tokenizer(folder, problems_per_family=200)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=-(-len(AutoTokenizer.from_pretrained(folder)) // 64) * 64,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.3,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


class Loop:
    """One event loop for a whole module, since engines live longer than a test."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, work: Coroutine[Any, Any, Result], seconds: float = 200) -> Result:
        """Run a coroutine to its end, for at most so long: vLLM compiles at its first completions."""
        return self._runner.run(asyncio.wait_for(work, seconds))

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()


class ServerProcess:
    """``vllm.entrypoints.openai.api_server`` in a process group of its own."""

    def __init__(self, model: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/v1"
        self.log = log
        options = {
            "--host": "127.0.0.1",
            "--port": str(port),
            "--model": str(model),
            "--served-model-name": "tiny",
            "--dtype": "float32",
            "--max-model-len": str(CONTEXT),
            "--max-num-batched-tokens": "4096",
            "--block-size": "32",
        }
        flags = ["--enforce-eager", "--no-enable-chunked-prefill", "--enable-prompt-tokens-details"]
        quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
        cpu = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *sum(options.items(), ()), *flags],
            env={**os.environ, **quiet, **cpu},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_ready(self, seconds: float = 200) -> None:
        """Wait for the server to answer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.address}/models", trust_env=False, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.5)
            if self.process.poll() is not None:
                break
        raise RuntimeError(f"the server did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """End the server with all its processes."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


async def ask(
    engine: Engine, text: str = QUESTION, *, n: int = 1, seed: int = 0, ids: tuple[int, ...] | None = None, **how: Any
) -> list[Completion]:
    """Complete a text or tokens."""
    prompt = Prompt(text=text, token_ids=engine.encode(text) if ids is None else ids)
    return await complete_each(engine, prompt, n=n, seed=seed, sampling=Sampling(**how))


def engine_processes(of: int) -> list[psutil.Process]:
    """vLLM's own process, and below it those that compute for it where there are several."""
    below = psutil.Process(of).children(recursive=True)
    return [child for name in ("EngineCore", "Worker_TP") for child in below if name in " ".join(child.cmdline())]
