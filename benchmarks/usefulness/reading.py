"""How a policy reads many solutions: per step, how expected it found the step's tokens."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.usefulness.encoding import Solution, batches, encode, padded
from stepforge.pipelines.scorers.shapes import Reading
from stepforge.pipelines.scorers.surprise_head import step_features


def load_policy(weights: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return a policy in float32, for reading alone, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(weights)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def readings(
    policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, solutions: Sequence[Solution]
) -> list[torch.Tensor]:
    """Return, for each solution, a tensor of shape (steps, features)."""
    rows = [encode(tokenizer, prompt, steps) for prompt, steps in solutions]
    found: list[torch.Tensor] = [torch.empty(0)] * len(rows)
    for numbers in batches([len(row.ids) for row in rows]):
        logits = policy(input_ids=padded([rows[i] for i in numbers])).logits
        for place, i in enumerate(numbers):
            row = rows[i]
            found[i] = step_features(logits[place], Reading(tuple(row.ids), (row.start - 1, *row.ends)))
    return found


def lowest_chance(reading: torch.Tensor) -> list[float]:
    """Return, for each step, the probability of its least expected token."""
    return torch.exp(-torch.expm1(reading[:, 0].abs()) / 5).tolist()  # type: ignore[no-any-return]
