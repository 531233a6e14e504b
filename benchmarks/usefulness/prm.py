"""Transformers' token classification: a language model's body and a two-class head, read at the end of every step.

A step's score is the probability that the solution is right up to and with it. All of the model is trained, which takes
minutes where the product's own ``surprise`` takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.usefulness.encoding import Encoded, Solution, batches, encode, padded

RIGHT = 1
"""The head's class for a step after which the solution is still right; 0 is the other."""


class HiddenStateModel:
    """Transformers' token classification on the body of a policy."""

    def __init__(self, weights: Path) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(weights)
        self.model: PreTrainedModel = AutoModelForTokenClassification.from_pretrained(
            weights, num_labels=2, dtype=torch.float32
        )
        self.model.set_attn_implementation("eager")  # for short rows faster on a CPU than the fused kernel's backward

    def end_logits(self, rows: Sequence[Encoded]) -> torch.Tensor:
        """Return the head's logits at every step's end, row by row: (steps of all rows, 2)."""
        logits = self.model(input_ids=padded(rows)).logits
        where = torch.tensor([(number, end) for number, row in enumerate(rows) for end in row.ends])
        return logits[where[:, 0], where[:, 1]].float()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def scores(self, solutions: Sequence[Solution]) -> list[list[float]]:
        self.model.eval()
        rows = [encode(self.tokenizer, prompt, steps) for prompt, steps in solutions]
        found: list[list[float]] = [[] for _ in rows]
        for numbers in batches([len(row.ids) for row in rows]):
            right = torch.softmax(self.end_logits([rows[i] for i in numbers]), dim=-1)[:, RIGHT].tolist()
            for i in numbers:
                found[i], right = right[: len(rows[i].ends)], right[len(rows[i].ends) :]
        return found
