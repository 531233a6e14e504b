"""The computation of ``surprise``: a policy's features of each step, and the head on them. Imports torch."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file

from stepforge.pipelines.scorers.shapes import Reading
from stepforge.pipelines.scorers.surprise import HEAD_FILE
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

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
WIDTH = 64
DROPOUT = 0.2
WARM_UP = 0.05


@torch.inference_mode()  # type: ignore[untyped-decorator]
def step_features(logits: torch.Tensor, reading: Reading) -> torch.Tensor:
    """Return one solution's readings, (steps, features), from its logits, (tokens, vocabulary).

    The reading's first position is the prompt's last token, the others are the last tokens of the steps.
    """
    chances = torch.log_softmax(logits.float(), dim=-1)
    entropy, likeliest = -(chances.exp() * chances).sum(-1), chances.max(-1).values
    ids = torch.tensor(reading.ids)
    own = chances[: len(ids) - 1].gather(-1, ids[1:, None])[:, 0]  # of token i + 1, as seen from token i
    before, *ends = reading.at
    steps, earlier = [], 0.0
    for number, end in enumerate(ends):
        # The step's tokens are seen from the token before each; the line break itself says nothing about the step.
        tokens = own[before : max(end - 1, before + 1)]
        at = before + int(tokens.argmin())
        lowest, second = [*tokens.sort().values[:2].tolist(), 0.0][:2]
        best = float(likeliest[at])
        scored = [lowest, second, float(tokens.sum()), float(tokens[-1]), float(entropy[at]), best, lowest - best]
        steps.append([*scored, earlier, float(number)])
        before, earlier = end, min(earlier, lowest)
    return squeeze(torch.tensor(steps))


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

    @staticmethod
    def kept(folder: Path) -> bool:
        return (folder / HEAD_FILE).exists()

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
    pairs = [
        (reading[i], y)
        for reading, of_steps in zip(read, targets, strict=True)
        for i, y in enumerate(of_steps)
        if y is not None
    ]
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
        optimizer_step(head, optimizer, loss, settings, number)
    head.eval()
    return head


def optimizer_step(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor, settings: HeadTraining, number: int
) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    share = min((number + 1) / (WARM_UP * settings.steps + 1), 1.0) * (1 - number / settings.steps)
    for group in optimizer.param_groups:
        group["lr"] = settings.rate * share
    optimizer.step()
    optimizer.zero_grad()
