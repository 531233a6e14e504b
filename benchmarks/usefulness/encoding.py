"""Solutions as token ids, and where their steps end: what both kinds of process reward model read."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

Solution = tuple[str, Sequence[str]]
"""Question, and steps without their trailing line breaks."""
TOKENS_PER_BATCH = 8192


class Encoded(NamedTuple):
    """Token ids of question and steps; where the steps start, and the last token of each."""

    ids: list[int]
    start: int
    ends: list[int]


def encode(tokenizer: PreTrainedTokenizerBase, prompt: str, steps: Sequence[str]) -> Encoded:
    """Encode piece by piece, a line break after each: every step begins on a token of its own."""
    ids = list(tokenizer.encode(f"{prompt}\n", add_special_tokens=False))
    start, ends = len(ids), []
    for step in steps:
        ids += tokenizer.encode(f"{step}\n", add_special_tokens=False)
        ends.append(len(ids) - 1)
    return Encoded(ids, start, ends)


def padded(rows: Sequence[Encoded]) -> torch.Tensor:
    """Return the ids padded on the right, where a causal body does not look: (rows, longest)."""
    ids = torch.zeros(len(rows), max(len(row.ids) for row in rows), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
    return ids


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield row numbers, similar lengths together, so many that the padded batch stays small."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[i] * (len(batch) + 1) > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
