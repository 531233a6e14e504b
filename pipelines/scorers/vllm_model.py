"""Reward models in vLLM's pooling runner, for the shapes it serves: a head on every token."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.scorers.model_scorer import ModelScorer
from stepforge.pipelines.scorers.shapes import QwenPrm, Reading, TokenClassification
from stepforge.schemas.errors import BadInput, first_line
from stepforge.schemas.protocols import EngineDead

CPU_CACHE_BYTES = 1 << 28
"""Space for a batch's keys and values on a CPU, where vLLM would otherwise take a share of all memory."""


def load(settings: TokenClassification | QwenPrm) -> ModelScorer:
    """Load the model. Raises BadInput: vLLM is not installed, or does not serve this model."""
    try:
        import vllm
        from vllm.config import PoolerConfig
        from vllm.platforms import current_platform
    except ImportError:
        raise BadInput("scorer: vllm is not installed; leave scorer.engine out") from None
    located = locate(settings.model, "scorer.model")
    try:
        model = vllm.LLM(
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
    return ModelScorer(settings, located, _Pooling(model), "vllm", vllm.__version__)


class _Pooling:
    def __init__(self, model: Any) -> None:
        self._model = model
        self.longest = int(model.llm_engine.model_config.max_model_len)

    def outputs(self, readings: Sequence[Reading]) -> Iterator[torch.Tensor]:
        """Raises EngineDead: vLLM's process ended."""
        from vllm import PoolingParams
        from vllm.inputs import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError

        prompts = [TokensPrompt(prompt_token_ids=list(reading.ids)) for reading in readings]
        how = PoolingParams(use_activation=False)
        try:
            answers = self._model.encode(prompts, how, pooling_task="token_classify", use_tqdm=False)
        except EngineDeadError as error:
            raise EngineDead(first_line(error)) from error
        yield from (answer.outputs.data for answer in answers)

    def close(self) -> None:
        self._model.llm_engine.engine_core.shutdown()
