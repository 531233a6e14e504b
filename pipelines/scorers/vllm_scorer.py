"""Scoring with vLLM's pooling runner, for the shapes it serves: a head on every token. Read at the same positions."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stepforge.pipelines.engines.model_files import digest, locate
from stepforge.pipelines.engines.tokenization import ModelTokenizer, first_line, load_tokenizer
from stepforge.pipelines.scorers.transformers_scorer import read_solution, scored
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import EngineDead, EngineIdentity, StepScores

if TYPE_CHECKING:
    from stepforge.pipelines.scorers.shapes import QwenPrm, TokenClassification


CPU_CACHE_BYTES = 1 << 28
"""Space for a batch's keys and values on a CPU, where vLLM would otherwise take a share of all memory."""


class VllmScorer:
    """Implements ``schemas.protocols.Scorer``."""

    def __init__(self, settings: Any, model: Any, tokenizer: ModelTokenizer, identity: EngineIdentity) -> None:
        self._settings = settings
        self._model = model
        self._tokenizer = tokenizer
        self._identity = identity
        self._longest = int(model.llm_engine.model_config.max_model_len)
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, settings: "TokenClassification | QwenPrm") -> "VllmScorer":
        """Load the model. Raises BadInput: vLLM is not installed, or does not serve this model."""
        return await asyncio.to_thread(cls._load, settings)

    @classmethod
    def _load(cls, settings: Any) -> "VllmScorer":
        try:
            import vllm
            from vllm import LLM
            from vllm.config import PoolerConfig
            from vllm.platforms import current_platform
        except ImportError:
            raise BadInput("scorer: vllm is not installed; leave scorer.engine out") from None
        located = locate(settings.model, "scorer.model")
        try:
            model = LLM(
                model=located,
                runner="pooling",
                revision=settings.revision,
                dtype=settings.dtype,
                max_model_len=settings.max_model_len,
                pooler_config=PoolerConfig(task="token_classify", tok_pooling_type="ALL", use_activation=False),
                enable_prefix_caching=False,  # a cached token has no output
                enforce_eager=current_platform.is_cpu(),  # compiling takes longer there than it saves
                kv_cache_memory_bytes=CPU_CACHE_BYTES if current_platform.is_cpu() else None,
                trust_remote_code=False,
                disable_log_stats=True,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise BadInput(f"scorer: vLLM does not serve {settings.model}: {first_line(error)}") from error
        identity = EngineIdentity(
            model=settings.model,
            digest=digest(located, settings.revision),
            engine="vllm",
            version=str(vllm.__version__),
        )
        return cls(settings, model, load_tokenizer(located, settings.revision), identity)

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        async with self._turn:
            if self._model is None:
                raise EngineDead("the scorer is closed")
            return await asyncio.to_thread(self._score, question, solutions)

    async def close(self) -> None:
        async with self._turn:
            if self._model is not None:
                await asyncio.to_thread(self._model.llm_engine.engine_core.shutdown)
            self._model = None

    def _score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        from vllm import PoolingParams
        from vllm.inputs import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError

        read = [read_solution(self._settings, self._tokenizer, question, steps, self._longest) for steps in solutions]
        whole = [(i, found[0]) for i, found in enumerate(read) if isinstance(found, list)]
        prompts = [TokensPrompt(prompt_token_ids=list(reading.ids)) for _, reading in whole]
        try:
            answers = self._model.encode(
                prompts, PoolingParams(use_activation=False), pooling_task="token_classify", use_tqdm=False
            )
        except EngineDeadError as error:
            raise EngineDead(first_line(error)) from error
        found = {
            i: (self._settings.probabilities(self._tokenizer, answer.outputs.data, reading), len(reading.ids))
            for (i, reading), answer in zip(whole, answers, strict=True)
        }
        results = []
        for i, steps in enumerate(solutions):
            scores, tokens = found.get(i, ([], 0))
            failed = read[i]
            results.append(scored(scores, len(steps), tokens, failed if isinstance(failed, str) else None))
        return results
