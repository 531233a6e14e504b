"""How a policy reads a solution: per step, how expected it found the step's tokens.

Everything at a step is known once the line break that ends it is read; nothing behind it counts.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.usefulness.encoding import Encoded, Solution, batches, encode, padded

FEATURES = (
    "lowest",
    "second lowest",
    "sum",
    "last token",
    "entropy at the lowest",
    "likeliest at the lowest",
    "lowest less likeliest",
    "lowest of earlier steps",
    "steps before",
)
"""Log-probabilities, entropies (nats) and counts of one step, each squeezed by ``squeeze``."""


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
        ids = padded([rows[i] for i in numbers])
        chances = torch.log_softmax(policy(input_ids=ids).logits.float(), dim=-1)
        entropy = -(chances.exp() * chances).sum(-1)
        likeliest = chances.max(-1).values
        own = chances[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]  # of token i + 1, as seen from token i
        for place, i in enumerate(numbers):
            found[i] = _reading(rows[i], own[place], entropy[place], likeliest[place])
    return found


def _reading(row: Encoded, own: torch.Tensor, entropy: torch.Tensor, likeliest: torch.Tensor) -> torch.Tensor:
    steps, start, earlier = [], row.start, 0.0
    for number, end in enumerate(row.ends):
        # The step's tokens are seen from the token before each; the line break itself says nothing of the step.
        tokens = own[start - 1 : max(end - 1, start)]
        at = start - 1 + int(tokens.argmin())
        lowest, second = [*tokens.sort().values[:2].tolist(), 0.0][:2]
        best = float(likeliest[at])
        scored = [lowest, second, float(tokens.sum()), float(tokens[-1]), float(entropy[at]), best, lowest - best]
        steps.append([*scored, earlier, float(number)])
        start, earlier = end + 1, min(earlier, lowest)
    return squeeze(torch.tensor(steps))


def squeeze(values: torch.Tensor) -> torch.Tensor:
    """Return values on a scale on which small log-probabilities differ as well as large ones."""
    return values.sign() * torch.log1p(values.abs() * 5)


def lowest_chance(reading: torch.Tensor) -> list[float]:
    """Return, for each step, the probability of its least expected token."""
    return torch.exp(-torch.expm1(reading[:, 0].abs()) / 5).tolist()  # type: ignore[no-any-return]
