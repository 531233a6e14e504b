"""vLLM, the same on GPU and CPU, through its asynchronous interface: it runs in its own processes.

Tokens are authoritative: text is decoded here from vLLM's tokens, never the reverse.
"""

import asyncio
import logging
import math
import os
import warnings
from copy import copy
from functools import lru_cache
from itertools import count
from typing import Any

from stepforge.pipelines.engines.engine_process import Reaper, start_watched
from stepforge.pipelines.engines.load import EngineLoad
from stepforge.pipelines.engines.model_files import identity_of, locate
from stepforge.pipelines.engines.settings import VllmEngineSettings
from stepforge.pipelines.engines.text_engine import FINISHES, TextEngine
from stepforge.pipelines.engines.tokenization import ModelTokenizer, load_tokenizer
from stepforge.pipelines.engines.vllm_arguments import check_arguments, vllm_arguments
from stepforge.schemas.errors import BadInput, first_line
from stepforge.schemas.protocols import Completion, EngineDead, EngineIdentity, Prompt, Sampling

INSTALL = "engine: vLLM is not installed: pip install 'stepforge[cpu]' or, with an NVIDIA GPU, 'stepforge[gpu]'"


class VllmEngine(TextEngine):
    """Implements ``schemas.protocols.Engine`` and reports its load."""

    def __init__(
        self, settings: VllmEngineSettings, started: "_Started", tokenizer: ModelTokenizer, identity: EngineIdentity
    ) -> None:
        super().__init__(identity, tokenizer)
        self._settings = settings
        self._started = started
        self.max_num_seqs = started.max_num_seqs
        """Most requests computed together, over all copies of the model."""
        self._tokenizer = tokenizer
        self._numbers = count()
        self._unfinished: set[str] = set()
        self._without_seed = lru_cache(maxsize=16)(self._unseeded)
        """vLLM takes longer to check parameters than to pass on a completion, so check once for all that share them."""

    @classmethod
    async def open(cls, settings: VllmEngineSettings) -> "VllmEngine":
        model = locate(settings.model)
        started = await asyncio.to_thread(_Started, settings, model)
        try:
            tokenizer = await asyncio.to_thread(load_tokenizer, model, settings.revision)
            identity = await asyncio.to_thread(identity_of, settings, started.version)
        except BaseException:
            started.shut_down()
            raise
        return cls(settings, started, tokenizer, identity)

    @property
    def load(self) -> EngineLoad:
        return self._started.reports.load

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        self.check_open()
        try:
            token_ids = list(prompt.token_ids or self._tokenizer.encode(prompt.text))
            if not token_ids:
                raise ValueError("the prompt is empty")
            parameters = copy(self._without_seed(sampling))
            parameters.seed = seed if self._settings.seeded else None
            answer = await self._generate(token_ids, parameters)
        except EngineDead:
            raise
        except Exception as error:  # vLLM's own errors about prompts and parameters are not ValueErrors
            return Completion.failed(first_line(error.__cause__ or error))
        self.check_open()
        if sampling.scored:
            told = list(zip(token_ids, answer.prompt_logprobs or [], strict=False))[-sampling.scored :]
            return self.scored(token_ids, [float(of[token].logprob) for token, of in told])
        return self._completion(answer, len(token_ids), sampling)

    async def close(self) -> None:
        if not self.closed:
            await super().close()
            client = self._started.client
            await client.abort(list(self._unfinished))
            if client.output_handler is not None:  # it would report the ending processes as a failure
                client.output_handler.cancel()
            await asyncio.to_thread(self._started.shut_down)

    async def _generate(self, token_ids: list[int], parameters: Any) -> Any:
        """Return vLLM's answer; it aborts a request whose task is cancelled."""
        from vllm.v1.engine.exceptions import EngineDeadError

        name = str(next(self._numbers))
        self._unfinished.add(name)
        try:
            # The form of vLLM's renderer; any other goes through one vLLM thread, one after another.
            prompt = {"type": "token", "prompt_token_ids": token_ids}
            return [output async for output in self._started.client.generate(prompt, parameters, name)][-1]
        except EngineDeadError as error:
            raise EngineDead("the engine is closed" if self.closed else f"vLLM died: {first_line(error)}") from error
        finally:
            self._unfinished.discard(name)

    def _unseeded(self, sampling: Sampling) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            logprobs=0 if self._settings.logprobs else None,
            prompt_logprobs=0 if sampling.scored else None,
            detokenize=bool(sampling.stop),
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,  # else vLLM deep-copies all of it for each request
        )

    def _completion(self, answer: Any, prompt_tokens: int, sampling: Sampling) -> Completion:
        output = answer.outputs[0]
        finish = FINISHES.get(output.finish_reason, "error")
        ids = list(output.token_ids)
        stopped_by_text = finish == "stop" and isinstance(output.stop_reason, str)
        if finish == "stop" and not stopped_by_text:
            ids.pop()  # the end-of-text token
        written = self._tokenizer.read(ids, sampling.stop if stopped_by_text else ())
        kept = len(written.token_ids)  # a last token that was replaced (a stop text inside it) has no log-probability
        chances = _chances(output)
        return Completion(
            text=written.text,
            token_ids=written.token_ids,
            token_ends=written.token_ends,
            finish=finish,
            tokens=len(output.token_ids),
            prompt_tokens=prompt_tokens,
            cached_tokens=answer.num_cached_tokens or 0,
            mean_logprob=sum(chances) / len(chances) if chances else None,
            logprobs=tuple(chances[:kept]) if chances and tuple(ids[:kept]) == written.token_ids else (),
            error=None if finish != "error" else f"vLLM ended the request: {output.finish_reason}",
        )


def _chances(output: Any) -> list[float]:
    if output.logprobs is None:
        return []
    chances = [float(of[token].logprob) for token, of in zip(output.token_ids, output.logprobs, strict=True)]
    return chances if all(map(math.isfinite, chances)) else []


class _Started:
    client: Any
    reaper: Reaper

    def __init__(self, settings: VllmEngineSettings, model: str) -> None:
        _set_environment()
        try:
            import torch
            import vllm
            from vllm.platforms import current_platform
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM

            from stepforge.pipelines.engines.vllm_load import LoadReports
        except ImportError as error:
            raise BadInput(f"{INSTALL} ({first_line(error)})") from error
        check_arguments(settings)
        if current_platform.is_cpu() and settings.threads is not None:
            # Of vLLM's own processes: by default they all take every core.
            os.environ.update(OMP_NUM_THREADS=str(settings.threads), VLLM_CPU_OMP_THREADS_BIND="nobind")
            torch.set_num_threads(settings.threads)  # of this thread, from which the engine process is forked
        self.version = str(vllm.__version__)
        self.reports = LoadReports()

        def start() -> Any:
            arguments = vllm.AsyncEngineArgs(**vllm_arguments(settings, model))
            return AsyncLLM.from_engine_args(
                arguments, usage_context=UsageContext.LLM_CLASS, stat_loggers=[self.reports.logger]
            )

        quiet = os.environ["VLLM_LOGGING_LEVEL"] in ("ERROR", "CRITICAL")
        try:
            self.client, self.reaper = start_watched(start, quiet=quiet)
        except (ValueError, TypeError, OSError, RuntimeError, NotImplementedError) as error:
            raise BadInput(f"engine: vLLM cannot serve {settings.model}: {first_line(error)}") from error
        config = self.client.vllm_config
        # Statistics of every token cost its client most of its time; without a prefix cache only they tell preemptions.
        self.client.log_stats = not config.cache_config.enable_prefix_caching
        self.max_num_seqs = int(config.scheduler_config.max_num_seqs * config.parallel_config.data_parallel_size)

    def shut_down(self) -> None:
        try:
            self.client.shutdown()
        except Exception as error:  # a dead engine may fail again
            logging.getLogger(__name__).warning("vLLM did not shut down cleanly: %s", first_line(error))
        self.reaper.dismiss()
        del self.client  # it shuts down again when collected, which fails at interpreter exit


def _set_environment() -> None:
    """Keep vLLM from reporting usage and from logging anything but errors, on standard error."""
    os.environ.update(VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1")
    for name in ("VLLM_LOGGING_LEVEL", "TORCH_CPP_LOG_LEVEL"):
        os.environ.setdefault(name, "ERROR")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # standard output is for reports
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])  # takes effect before vLLM sets up its own
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
