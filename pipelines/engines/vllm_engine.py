"""vLLM, the same on GPU and CPU: one engine, one thread that steps it, one request per rollout.

What counts is the tokens: text is decoded here from the tokens that vLLM wrote, never the other way round.
"""

import asyncio
import logging
import math
import os
import time
import warnings
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from typing import Any

from stepforge.pipelines.engines.engine_process import built_and_watched
from stepforge.pipelines.engines.model_files import digest, locate
from stepforge.pipelines.engines.settings import VllmEngineSettings
from stepforge.pipelines.engines.stepping import Call, Stepper
from stepforge.pipelines.engines.tokenization import ModelTokenizer, first_line, load_tokenizer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion, EngineDead, EngineIdentity, Message, Prompt, Sampling
from stepforge.schemas.rollout import Finish

INSTALL = "engine: vLLM is not installed: pip install 'stepforge[cpu]' or, with an NVIDIA GPU, 'stepforge[gpu]'"
CPU_KV_CACHE_GIB = 1.0
CPU_BATCHED_TOKENS = 4096
CPU_BLOCK_SIZE = 32
GIB = 1 << 30
COMPUTES_ITSELF = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
STUCK_SECONDS = 120.0
"""How long after its time limit a call is waited for; then a step hangs, and the engine counts as dead."""
FINISHES: dict[str | None, Finish] = {"stop": "stop", "length": "length"}
"""Everything else (abort, repetition, error) is an error."""


class VllmEngine:
    """Implements ``schemas.protocols.Engine``."""

    def __init__(
        self, settings: VllmEngineSettings, stepper: Stepper, tokenizer: ModelTokenizer, identity: EngineIdentity
    ) -> None:
        self._settings = settings
        self._stepper = stepper
        self._tokenizer = tokenizer
        self._identity = identity
        self._without_seed = lru_cache(maxsize=16)(self._unseeded)
        """vLLM checks parameters for longer than it takes to hand a completion on: once for all that share them."""

    @classmethod
    async def open(cls, settings: VllmEngineSettings) -> "VllmEngine":
        """Load the model; the event loop stays free meanwhile.

        Raises:
            BadInput: vLLM or the model is not there, or vLLM cannot serve it with these settings.
        """
        model = locate(settings.model)
        stepper = Stepper(lambda: _build(settings, model), _is_refusal)
        try:
            await stepper.start()
            tokenizer, name = await asyncio.to_thread(
                lambda: (load_tokenizer(model, settings.revision), digest(model, settings.revision))
            )
        except BaseException:
            await stepper.close()
            raise
        identity = EngineIdentity(model=settings.model, digest=name, engine="vllm", version=_version())
        return cls(settings, stepper, tokenizer, identity)

    @property
    def identity(self) -> EngineIdentity:
        """Which model this is."""
        return self._identity

    @property
    def special_tokens(self) -> frozenset[str]:
        """Texts that are read as control tokens."""
        return self._tokenizer.special_tokens

    @property
    def unfinished(self) -> int:
        """Requests that the engine is working on or will be."""
        return self._stepper.unfinished

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Return one continuation; see ``Engine.complete``."""
        try:
            token_ids = list(prompt.token_ids or self._tokenizer.encode(prompt.text))
            if not token_ids:
                raise ValueError("the prompt is empty")
            parameters = self._parameters(sampling, seed)
        except Exception as error:  # vLLM's own errors about parameters are no ValueErrors
            return _failed(0, first_line(error))
        (answer,) = await self._ask(token_ids, [parameters])
        return self._completion(answer, len(token_ids), sampling)

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text, without special tokens added."""
        return self._tokenizer.encode(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with."""
        return self._tokenizer.encode_prompt(text, bos=bos)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return, for each token, the length in characters of the decoded text up to its end."""
        return self._tokenizer.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template."""
        return self._tokenizer.chat(messages)

    async def close(self) -> None:
        """Shut vLLM down and join its thread; whoever still waits gets ``EngineDead``."""
        await self._stepper.close()

    async def _ask(self, token_ids: list[int], parameters: list[Any]) -> list[Any]:
        limit = self._settings.request_timeout
        deadline = math.inf if limit is None else time.monotonic() + limit
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        call = Call(future, token_ids, parameters, deadline)
        self._stepper.submit(call)
        try:
            async with asyncio.timeout(None if limit is None else limit + STUCK_SECONDS):
                return await future
        except TimeoutError:
            raise EngineDead("vLLM hangs: a step does not end") from None
        except asyncio.CancelledError:
            self._stepper.cancel(call)
            raise

    def _parameters(self, sampling: Sampling, seed: int) -> Any:
        parameters = copy(self._without_seed(sampling))
        parameters.seed = seed if self._settings.seeded else None
        return parameters

    def _unseeded(self, sampling: Sampling) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            logprobs=0 if self._settings.logprobs else None,
            detokenize=bool(sampling.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _completion(self, answer: Any, prompt_tokens: int, sampling: Sampling) -> Completion:
        if isinstance(answer, str):
            return _failed(prompt_tokens, answer)
        output = answer.outputs[0]
        finish = FINISHES.get(output.finish_reason, "error")
        ids = list(output.token_ids)
        stopped_by_text = finish == "stop" and isinstance(output.stop_reason, str)
        if finish == "stop" and not stopped_by_text:
            ids.pop()  # the end-of-text token
        written = self._tokenizer.read(ids, sampling.stop if stopped_by_text else ())
        return Completion(
            text=written.text,
            token_ids=written.token_ids,
            token_ends=written.token_ends,
            finish=finish,
            tokens=len(output.token_ids),
            prompt_tokens=prompt_tokens,
            cached_tokens=answer.num_cached_tokens or 0,
            mean_logprob=_mean_logprob(output),
            logprobs=_logprobs(output, written.token_ids),
            error=None if finish != "error" else f"vLLM ended the request: {output.finish_reason}",
        )


def _failed(prompt_tokens: int, message: str) -> Completion:
    return Completion(text="", finish="error", tokens=0, prompt_tokens=prompt_tokens, error=message)


def _mean_logprob(output: Any) -> float | None:
    if output.cumulative_logprob is None or not output.token_ids:
        return None
    mean = output.cumulative_logprob / len(output.token_ids)
    return mean if math.isfinite(mean) else None


def _logprobs(output: Any, kept: tuple[int, ...]) -> tuple[float, ...]:
    """Of the tokens kept; a replaced last token (a stop text inside it) has none, and then no token has."""
    if output.logprobs is None or tuple(output.token_ids[: len(kept)]) != kept:
        return ()
    chances = [float(output.logprobs[i][token].logprob) for i, token in enumerate(kept)]
    return tuple(chances) if all(map(math.isfinite, chances)) else ()


def _is_refusal(error: BaseException) -> bool:
    """Whether a request that could not be added leaves the engine as it was."""
    return isinstance(error, Exception) and type(error).__name__ != "EngineDeadError"


def _version() -> str:
    import vllm

    return str(vllm.__version__)


def _build(settings: VllmEngineSettings, model: str) -> Any:
    os.environ.update(VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1")
    for name in ("VLLM_LOGGING_LEVEL", "TORCH_CPP_LOG_LEVEL"):
        os.environ.setdefault(name, "ERROR")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # standard output is for reports
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])  # heeded before vLLM sets up its own
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(settings.multiprocessing))
    try:
        import torch
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine
    except ImportError as error:
        raise BadInput(f"{INSTALL} ({first_line(error)})") from error
    if current_platform.is_cpu() and settings.threads is not None:
        os.environ.update(thread_variables(settings.threads))
        torch.set_num_threads(settings.threads)
    try:
        arguments = EngineArgs(**vllm_arguments(settings, model))
        if settings.multiprocessing:
            os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")
            quiet = os.environ["VLLM_LOGGING_LEVEL"] in ("ERROR", "CRITICAL")
            return built_and_watched(lambda: LLMEngine.from_engine_args(arguments), quiet=quiet)
        return LLMEngine.from_engine_args(arguments)
    except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise BadInput(f"engine: vLLM cannot serve {settings.model}: {first_line(error)}") from error


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment of vLLM's own processes on a CPU: by default they take every core, and all the same."""
    return {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def vllm_arguments(settings: VllmEngineSettings, model: str) -> dict[str, Any]:
    """Return what vLLM's ``EngineArgs`` or ``LLM`` take, for a model as ``locate`` gives it; imports vLLM."""
    from vllm.platforms import current_platform

    return _arguments(settings, model) | (_cpu_arguments(settings) if current_platform.is_cpu() else {})


def _arguments(settings: VllmEngineSettings, model: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": model,
        "revision": settings.revision,
        "dtype": settings.dtype,
        "seed": settings.seed % (1 << 31),
        "max_num_seqs": settings.max_num_seqs,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enforce_eager": bool(settings.enforce_eager),
        "enable_prefix_caching": settings.prefix_caching,
        "disable_log_stats": True,
        "trust_remote_code": False,
        "use_tqdm_on_load": False,
    }
    if settings.max_model_len is not None:
        arguments["max_model_len"] = settings.max_model_len
    if settings.max_num_batched_tokens is not None:
        arguments["max_num_batched_tokens"] = settings.max_num_batched_tokens
    if settings.block_size is not None:
        arguments["block_size"] = settings.block_size
    if settings.kv_cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(settings.kv_cache_gib * GIB)
    return arguments


def _cpu_arguments(settings: VllmEngineSettings) -> dict[str, Any]:
    """On a CPU a seeded request whose prompt is read in two steps kills the engine (vLLM 0.32: a CPU random
    generator has no offset to set back), so prompts are read whole, in steps that hold the longest one.

    Where the threads are given, vLLM's process computes by itself: of its own accord it would start another for that,
    to bind its threads to cores, and wait for it in a loop that keeps a core busy.
    """
    longest = settings.max_model_len or CPU_BATCHED_TOKENS
    alone = settings.threads is not None and settings.tensor_parallel_size == 1
    return ({"distributed_executor_backend": COMPUTES_ITSELF} if alone else {}) | {
        "enforce_eager": settings.enforce_eager is not False,
        "kv_cache_memory_bytes": int((settings.kv_cache_gib or CPU_KV_CACHE_GIB) * GIB),
        "block_size": settings.block_size or CPU_BLOCK_SIZE,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(settings.max_num_batched_tokens or CPU_BATCHED_TOKENS, longest),
    }
