"""Tiny random networks of every shape, and their scores of three solutions."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from imported_later import Later, torch, transformers
from pydantic import TypeAdapter
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from stepforge.pipelines.scorers import AnyScorer, open_scorer
from stepforge.schemas.protocols import StepScores

safetensors = Later("safetensors.torch")
QUESTION = "What is 2 + 3?"
SOLUTIONS = (("2 + 3 = 5", "So it is 5."), ("It is 6.",), ("First\nsecond", "third", "- fourth +"))
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def tiny_tokenizer() -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens(list(SPECIAL))
    built.add_tokens([AddedToken("<extra_0>", normalized=False), AddedToken("ки", normalized=False)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, bos_token=SPECIAL[2], eos_token=SPECIAL[1], chat_template=TEMPLATE
    )


def config_of(tokenizer: Any, **more: Any) -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "initializer_range": 0.4, **more}
    return transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        **sizes,
    )


def saved(tokenizer: Any, network: Any, folder: Path) -> Any:
    network.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return network


def language_model(tokenizer: Any, folder: Path) -> Any:
    torch.manual_seed(1)
    return saved(tokenizer, transformers.Qwen2ForCausalLM(config_of(tokenizer)), folder)


def with_head(tokenizer: Any, folder: Path, head: dict[str, Any]) -> Any:
    network = language_model(tokenizer, folder)
    weights = safetensors.load_file(folder / "model.safetensors")
    safetensors.save_file({**weights, **head}, folder / "model.safetensors", metadata={"format": "pt"})
    return network


def scores_of(settings: dict[str, Any], solutions: Sequence[Sequence[str]] = SOLUTIONS) -> list[StepScores]:
    async def work() -> list[StepScores]:
        scorer = await open_scorer(TypeAdapter(AnyScorer).validate_python(settings))
        try:
            return await scorer.score(QUESTION, solutions)
        finally:
            await scorer.close()

    return asyncio.run(work())


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def hidden(network: Any, ids: list[int]) -> Any:
    with torch.inference_mode():
        return network.model(input_ids=torch.tensor([ids])).last_hidden_state[0]


def logits(network: Any, ids: list[int]) -> Any:
    with torch.inference_mode():
        return network(input_ids=torch.tensor([ids])).logits[0]


def check(found: list[StepScores], expected: list[list[float]]) -> None:
    assert all(one.error is None for one in found)
    assert [list(one.scores) for one in found] == [pytest.approx(row, abs=2e-5) for row in expected]
    assert len({round(score, 4) for row in expected for score in row}) > 3, "the positions must matter"
