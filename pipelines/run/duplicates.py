"""Which problems of a run repeat an earlier one, exactly, nearly or in meaning: the one step that needs every problem.

In meaning: mean hidden states of a small model, compared pair by pair, only among questions with the same numbers,
unless numbers do not count: then every pair of the run is compared, which takes a second for 10,000 questions and hours
for a million. Vectors are kept in half precision.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepforge.filters import NearDuplicates, question_key
from stepforge.filters.minhash import Signatures
from stepforge.filters.shingles import question_shingles
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.storage.shards import read_columns, row_count
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput, first_line

TOGETHER = 2_000
"""Questions taken in at a time; a shard holds a few dozen."""
BATCH = 64
LONGEST = 512
"""Tokens of a question that are read."""
BLOCK = 1_024
"""Questions compared with all before them at a time."""


def duplicate_questions(shards: Sequence[AnyPath]) -> dict[str, str]:
    """Return problem id -> id of the first problem, in shard order, that asks the same question."""
    firsts: dict[bytes, str] = {}
    copies: dict[str, str] = {}
    for path in shards:
        rows = read_columns(path, ["id", "question"])
        for name, question in zip(rows["id"], rows["question"], strict=True):
            first = firsts.setdefault(bytes.fromhex(question_key(question)), name)
            if first != name:
                copies[name] = first
    return copies


def near_duplicates(shards: Sequence[AnyPath], part: NearDuplicates) -> dict[str, str]:
    """Return problem id -> id of an earlier problem, in shard order, that asks nearly the same and is kept."""
    numbers = part.numbers == "same"
    signatures: Meanings | Signatures = Signatures(sum(map(row_count, shards)), numbers=numbers)
    if part.model is not None:
        signatures = Meanings(part.model, numbers=numbers)
    names: list[str] = []
    some: list[str] = []
    for path in shards:
        rows = read_columns(path, ["id", "question"])
        names += rows["id"]
        some += rows["question"]
        if len(some) >= TOGETHER:
            signatures.add(some)
            some = []
    signatures.add(some)
    return {names[copy]: names[first] for copy, first in signatures.earlier(part.similarity).items()}


class Meanings:
    """Vectors of questions, added one after another; like ``minhash.Signatures``, by meaning."""

    def __init__(self, model: str, *, numbers: bool) -> None:
        """Load the model; ``numbers``: questions with other numbers are never alike. Raises BadInput: the model is
        missing, or is not a text model."""
        from transformers import AutoModel, AutoTokenizer

        located = locate(model, "vet.near_duplicates.model")
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(located, trust_remote_code=False)
            self._network: Any = AutoModel.from_pretrained(located, trust_remote_code=False).float().eval()
        except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
            raise BadInput(f"vet.near_duplicates.model: {model} cannot be loaded: {first_line(error)}") from error
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._numbers = numbers
        self._vectors: list[NDArray[np.float16]] = []
        self._places: list[int] = []
        """The number of each vector's question."""
        self._groups: dict[str, list[int]] = {}
        self._count = 0

    def add(self, questions: Sequence[str]) -> None:
        start = self._count
        for question in questions:
            told = question_shingles(question, numbers=self._numbers)[1]
            self._groups.setdefault(told, []).append(self._count)
            self._count += 1
        by_length = sorted(range(len(questions)), key=lambda i: len(questions[i]))  # little is read for nothing
        for first in range(0, len(questions), BATCH):
            some = by_length[first : first + BATCH]
            self._vectors.append(self._read([questions[i] for i in some]))
            self._places += [start + i for i in some]

    def earlier(self, similarity: float) -> dict[int, int]:
        """Map each question that means the same as an earlier, kept one to that one's number."""
        found: dict[int, int] = {}
        if not self._vectors:
            return found
        vectors = np.concatenate(self._vectors)[np.argsort(self._places)]
        for group in self._groups.values():
            _compare(vectors[group].astype(np.float32), group, similarity, found)
        return found

    def _read(self, questions: list[str]) -> NDArray[np.float16]:
        """Return unit vectors, (questions, width)."""
        import torch

        given = self._tokenizer(questions, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        mask = given["attention_mask"]
        with torch.inference_mode():
            hidden = self._network(input_ids=given["input_ids"], attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        means = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        units: NDArray[np.float16] = torch.nn.functional.normalize(means, dim=-1).numpy().astype(np.float16)
        return units


def _compare(vectors: NDArray[np.float32], group: list[int], similarity: float, found: dict[int, int]) -> None:
    for first in range(0, len(group), BLOCK):
        rows = vectors[first : first + BLOCK]
        alike = rows @ vectors[: first + len(rows)].T >= similarity
        for row, place in enumerate(range(first, first + len(rows))):
            kept = (group[other] for other in np.flatnonzero(alike[row, :place]) if group[other] not in found)
            if (earlier := next(kept, None)) is not None:
                found[group[place]] = earlier
