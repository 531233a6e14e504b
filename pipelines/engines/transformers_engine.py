"""Plain transformers: requests that arrive close together are computed together, on the engine's own thread.

A batch that fails gives errors for its own requests; the next batch is unaffected.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
import transformers

from stepforge.pipelines.engines.model_files import identity_of, locate
from stepforge.pipelines.engines.sampling_loop import Row, score, write
from stepforge.pipelines.engines.settings import TransformersEngineSettings
from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.pipelines.engines.tokenization import ModelTokenizer, first_stop, load_tokenizer
from stepforge.schemas.errors import BadInput, first_line
from stepforge.schemas.protocols import Completion, EngineDead, EngineIdentity, Prompt, Sampling

UNBOUNDED = 1 << 20
"""Context length assumed if the model states none, in tokens."""


class _Model(NamedTuple):
    network: Any
    tokenizer: ModelTokenizer
    end_tokens: frozenset[int]
    longest: int
    vocabulary: int


@dataclass(eq=False)
class _Asked(Row):
    future: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class TransformersEngine(TextEngine):
    def __init__(self, settings: TransformersEngineSettings, model: _Model, identity: EngineIdentity) -> None:
        super().__init__(identity, model.tokenizer)
        self._settings = settings
        self._model = model
        self._queue: asyncio.Queue[_Asked] = asyncio.Queue()
        self._unanswered: set[_Asked] = set()
        self._thread = ThreadPoolExecutor(1, "transformers-engine", initializer=partial(_set_threads, settings.threads))
        self._computing = asyncio.get_running_loop().create_task(self._run())

    @classmethod
    async def open(cls, settings: TransformersEngineSettings) -> "TransformersEngine":
        model = await asyncio.to_thread(_load, settings, locate(settings.model))
        return cls(settings, model, await asyncio.to_thread(identity_of, settings, str(transformers.__version__)))

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        self.check_open()
        try:
            token_ids = prompt.token_ids or self._model.tokenizer.encode(prompt.text)
            self._check(token_ids)
        except ValueError as error:
            return Completion.failed(str(error))
        asked = self._ask(token_ids, seed, sampling)
        try:
            await asked.future
        except asyncio.CancelledError:
            asked.cancelled = True
            raise
        finally:
            self._unanswered.discard(asked)
        return self._completion(asked)

    async def close(self) -> None:
        """Abort the current batch and join the thread; waiting requests get ``EngineDead``."""
        await super().close()
        for asked in self._unanswered:
            asked.cancelled = True
            if not asked.future.done():
                asked.future.set_exception(EngineDead("the engine is closed"))
        self._computing.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    def _check(self, token_ids: Sequence[int]) -> None:
        if not token_ids:
            raise ValueError("the prompt is empty")
        if len(token_ids) >= self._model.longest:
            raise ValueError(f"the prompt has {len(token_ids)} tokens, the context {self._model.longest}")
        if not all(0 <= token < self._model.vocabulary for token in token_ids):
            raise ValueError("the prompt has tokens that the model does not know")

    def _ask(self, token_ids: Sequence[int], seed: int, sampling: Sampling) -> _Asked:
        limit = self._settings.request_timeout
        deadline = math.inf if limit is None else time.monotonic() + limit
        stopped = _stop_watch(self._model.tokenizer, sampling.stop) if sampling.stop else None
        asked = _Asked(token_ids, seed, sampling, stopped, deadline)
        self._unanswered.add(asked)
        self._queue.put_nowait(asked)
        return asked

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [asked for asked in await self._gather() if not asked.cancelled]
            if batch:
                await loop.run_in_executor(self._thread, self._compute, batch)
            for asked in batch:
                if not asked.future.done():
                    asked.future.set_result(None)

    async def _gather(self) -> list[_Asked]:
        batch = [await self._queue.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.gather_seconds):
                while len(batch) < self._settings.batch_size:
                    batch.append(await self._queue.get())
        return batch

    def _compute(self, rows: Sequence[Row]) -> None:
        model = self._model
        try:
            score(model.network, [row for row in rows if row.sampling.scored])
            written = [row for row in rows if not row.sampling.scored]
            write(model.network, written, model.end_tokens, model.longest, logprobs=self._settings.logprobs)
        except Exception as error:
            for row in rows:
                if row.finish is None:
                    row.finish, row.error = "error", f"{type(error).__name__}: {first_line(error)}"

    def _completion(self, row: Row) -> Completion:
        if row.sampling.scored and row.finish == "stop":
            return self.scored(row.prompt, row.logprobs)
        ids = row.written[:-1] if row.finish == "stop" and not row.by_text else row.written
        written = self._model.tokenizer.read(ids, row.sampling.stop if row.by_text else ())
        told = self._settings.logprobs and tuple(row.written[: len(written.token_ids)]) == written.token_ids
        return Completion(
            text=written.text,
            token_ids=written.token_ids,
            token_ends=written.token_ends,
            finish=row.finish or "error",
            tokens=len(row.written),
            prompt_tokens=len(row.prompt),
            mean_logprob=sum(row.logprobs) / len(row.written) if self._settings.logprobs and row.written else None,
            logprobs=tuple(row.logprobs[: len(written.token_ids)]) if told else (),
            error=row.error,
        )


def _stop_watch(tokenizer: ModelTokenizer, stop: Sequence[str]) -> Callable[[list[int]], bool]:
    """Checks only the last tokens: a stop text has no more tokens than bytes."""
    tail = max(len(text.encode()) for text in stop) + 2
    return lambda written: first_stop(tokenizer.decode(written[-tail:]), stop) is not None


def _load(settings: TransformersEngineSettings, located: str) -> _Model:
    dtype = settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)
    try:
        network = transformers.AutoModelForCausalLM.from_pretrained(
            located, revision=settings.revision, dtype=dtype, trust_remote_code=False
        )
        network = network.to(device_of(settings.device)).eval()
    except Exception as error:  # safetensors has its own class for damaged weights
        raise BadInput(f"engine: transformers cannot load {settings.model}: {first_line(error)}") from error
    tokenizer = load_tokenizer(located, settings.revision)
    ends = network.generation_config.eos_token_id
    more = frozenset() if ends is None else frozenset([ends] if isinstance(ends, int) else ends)
    stated = getattr(network.config, "max_position_embeddings", None) or UNBOUNDED
    longest = min(settings.max_model_len or stated, stated)
    vocabulary = network.get_input_embeddings().num_embeddings
    return _Model(network, tokenizer, tokenizer.end_tokens | more, longest, vocabulary)


def device_of(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def _set_threads(threads: int | None) -> None:
    """A torch thread count applies to the thread that sets it (once vLLM is loaded on a CPU, this has no effect)."""
    if threads is not None:
        torch.set_num_threads(threads)
