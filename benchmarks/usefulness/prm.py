"""Two small process reward models; a step's score is the probability that the solution is right up to and with it.

``hidden``: transformers' token classification, a language model's body and a two-class head, read at the end of every
step, all of it trained. ``surprise``: the same body, frozen, and a small head that sees what the body's own language
model head makes of the step's tokens (``reading``) instead of the hidden state; minutes become seconds.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.usefulness.encoding import Encoded, Solution, batches, encode, padded
from benchmarks.usefulness.reading import FEATURES

RIGHT = 1
"""The head's class for a step after which the solution is still right; 0 is the other."""
WIDTH = 64
DROPOUT = 0.2
HEAD_FILE = "surprise_head.safetensors"


class SurpriseHead(torch.nn.Module):  # type: ignore[misc]
    """Two layers on the readings of one step, which are standardized by the rows it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.nn.Buffer(torch.zeros(len(FEATURES)))
        self.spread = torch.nn.Buffer(torch.ones(len(FEATURES)))
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(len(FEATURES), WIDTH), torch.nn.GELU(), torch.nn.Dropout(DROPOUT), torch.nn.Linear(WIDTH, 1)
        )

    def forward(self, readings: torch.Tensor) -> torch.Tensor:
        """Return the log-odds that all is right, for readings of shape (steps, features)."""
        return self.layers((readings - self.mean) / self.spread)[:, 0]

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def read_scores(self, readings: Sequence[torch.Tensor]) -> list[list[float]]:
        """Return the scores of solutions that were read already."""
        self.eval()
        return [torch.sigmoid(self(reading)).tolist() for reading in readings]

    def save(self, folder: Path) -> None:
        """Write the head; the body is the policy's, unchanged."""
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{HEAD_FILE}.tmp"
        save_file(self.state_dict(), beside)
        beside.replace(folder / HEAD_FILE)

    @staticmethod
    def kept(folder: Path) -> bool:
        """Whether a folder holds a head."""
        return (folder / HEAD_FILE).exists()

    @classmethod
    def load(cls, folder: Path) -> "SurpriseHead":
        """Return a head as it was written."""
        head = cls()
        head.load_state_dict(load_file(folder / HEAD_FILE))
        return head


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
        """Return a score per step for each solution."""
        self.model.eval()
        rows = [encode(self.tokenizer, prompt, steps) for prompt, steps in solutions]
        found: list[list[float]] = [[] for _ in rows]
        for numbers in batches([len(row.ids) for row in rows]):
            right = torch.softmax(self.end_logits([rows[i] for i in numbers]), dim=-1)[:, RIGHT].tolist()
            for i in numbers:
                found[i], right = right[: len(rows[i].ends)], right[len(rows[i].ends) :]
        return found
