"""The computation of ``surprise``: a policy's features of each step, and the head on them. Imports torch."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file

from stepforge.pipelines.engines.tokenization import ModelTokenizer
from stepforge.pipelines.scorers.shapes import Reading
from stepforge.pipelines.scorers.surprise import FEATURES, GROUPS, HEAD_FILE, OF_GROUP
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

WIDTH = 64
DROPOUT = 0.2
WARM_UP = 0.05


def numbers_of(pieces: Sequence[str]) -> Iterator[tuple[int, int, bool]]:
    """Yield the first and the next token of each number, from the tokens' texts, and whether it was stated before."""
    known: set[str] = set()
    start = None
    for i, piece in enumerate([*pieces, ""]):
        digit = any(map(str.isdigit, piece))
        if start is not None and (not digit or piece[0].isspace()):
            number = "".join(pieces[start:i]).strip()
            yield start, i, number in known
            known.add(number)
            start = None
        if digit and start is None:
            start = i


def masks_of(numbers: Sequence[tuple[int, int, bool]], start: int, end: int) -> torch.Tensor:
    """Return which tokens from ``start`` to ``end`` are in which group: (groups, tokens)."""
    masks = torch.zeros(len(GROUPS), end - start, dtype=torch.bool)
    mine = [(slice(max(a - start, 0), b - start), known) for a, b, known in numbers if start < b and a < end]
    for place, known in mine:
        masks[1 if known else 2, place] = True
    masks[0] = ~masks.any(0)
    for place, _ in mine[-1:]:
        masks[3, place] = True
    return masks


@torch.inference_mode()  # type: ignore[untyped-decorator]
def step_features(logits: torch.Tensor, reading: Reading, tokenizer: ModelTokenizer) -> torch.Tensor:
    """Return one solution's readings, (steps, features), from its logits, (tokens, vocabulary).

    The reading's first position is the prompt's last token, the others are the last tokens of the steps.
    """
    chances = torch.log_softmax(logits.float(), dim=-1)
    ids, numbers = torch.tensor(reading.ids), [*numbers_of([*map(tokenizer.piece, reading.ids)])]
    # Of token i + 1, as seen from token i: its own chance, the entropy, the chance of the likeliest token.
    own = chances[: len(ids) - 1].gather(-1, ids[1:, None])[:, 0]
    seen = torch.stack([own, -(chances.exp() * chances).sum(-1)[:-1], chances.max(-1).values[:-1]])
    before, *ends = reading.at
    steps, earlier = [], [0.0] * len(GROUPS)
    for number, end in enumerate(ends):
        # The step's tokens are seen from the token before each; the line break itself says nothing about the step.
        last = max(end - 1, before + 1)
        of_groups = [_of_group(seen[:, before:last][:, mask]) for mask in masks_of(numbers, before + 1, last + 1)]
        steps.append([*chain(*of_groups), *earlier, float(number)])
        before, earlier = end, [min(a, b[0]) for a, b in zip(earlier, of_groups, strict=True)]
    return squeeze(torch.tensor(steps))


def _of_group(seen: torch.Tensor) -> list[float]:
    own, entropy, likeliest = seen
    if not len(own):
        return [0.0] * len(OF_GROUP)
    at = int(own.argmin())
    lowest, second = [*own.sort().values[:2].tolist(), 0.0][:2]
    best = float(likeliest[at])
    return [lowest, second, float(own.sum()), float(entropy[at]), best, lowest - best, float(len(own))]


def squeeze(values: torch.Tensor) -> torch.Tensor:
    """Return values on a scale that resolves small log-probabilities as well as large ones."""
    return values.sign() * torch.log1p(values.abs() * 5)


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
        """Return the log-odds that everything so far is right, for readings of shape (steps, features)."""
        return self.layers((readings - self.mean) / self.spread)[:, 0]

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def read_scores(self, readings: Sequence[torch.Tensor]) -> list[list[float]]:
        self.eval()
        return [torch.sigmoid(self(reading)).tolist() for reading in readings]

    def save(self, folder: Path) -> None:
        """Write the head; the body is the unchanged policy."""
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{HEAD_FILE}.tmp"
        save_file(self.state_dict(), beside)
        beside.replace(folder / HEAD_FILE)

    @classmethod
    def load(cls, folder: Path) -> "SurpriseHead":
        head = cls()
        head.load_state_dict(load_file(folder / HEAD_FILE))
        return head


@lru_cache(maxsize=4)
def loaded_head(folder: Path) -> SurpriseHead:
    return SurpriseHead.load(folder)


class HeadTraining(Record):
    """Training of a head: AdamW, a short warm-up, then linear decay to zero."""

    steps: int = Field(default=500, ge=1)
    """Optimizer steps."""
    rate: float = Field(default=3e-3, gt=0)
    batch: int = Field(default=256, ge=1)
    """Examples in a batch."""
    weight_decay: float = Field(default=0.01, ge=0)


Targets = Sequence[float | None]
"""For each step of a solution the probability that all is right up to it; None: the step has no loss."""


def train_head(
    read: Sequence[torch.Tensor], targets: Sequence[Targets], settings: HeadTraining, seed: int
) -> SurpriseHead:
    """Return a head trained on readings of solutions and a target for each of their steps.

    Raises BadInput: no step has a target.
    """
    torch.manual_seed(seed)
    steps = [(reading[i], y) for reading, row in zip(read, targets, strict=True) for i, y in enumerate(row)]
    pairs = [(reading, y) for reading, y in steps if y is not None]
    if not pairs:
        raise BadInput("no row has a step with a label; there is nothing to train on")
    inputs, wanted = torch.stack([x for x, _ in pairs]), torch.tensor([y for _, y in pairs])
    head = SurpriseHead()
    head.mean.copy_(inputs.mean(0))
    head.spread.copy_(inputs.std(0, correction=0).clamp_min(1e-3))
    head.train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    for number in range(settings.steps):
        drawn = torch.randint(len(wanted), (settings.batch,))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(inputs[drawn]), wanted[drawn])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        share = min((number + 1) / (WARM_UP * settings.steps + 1), 1.0) * (1 - number / settings.steps)
        optimizer.param_groups[0]["lr"] = settings.rate * share
        optimizer.step()
        optimizer.zero_grad()
    head.eval()
    return head
