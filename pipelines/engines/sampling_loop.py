"""Sampling a batch explicitly: every row has its own seed, limits and end.

A row's tokens depend only on its seed and prompt (up to the rounding of sums in different batch shapes): each
row draws its own uniform numbers beforehand, and a token is the one whose cumulative probability reaches its number.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from stepforge.schemas.protocols import Sampling
from stepforge.schemas.rollout import Finish


@dataclass(eq=False)
class Row:
    prompt: Sequence[int]
    seed: int
    sampling: Sampling
    stopped: Callable[[list[int]], bool] | None = None
    """Whether a stop text is among the tokens written so far; None without stop texts."""
    deadline: float = float("inf")
    cancelled: bool = False
    written: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Finish | None = None
    by_text: bool = False
    error: str | None = None


@torch.inference_mode()  # type: ignore[untyped-decorator]
def write(model: Any, rows: Sequence[Row], end_tokens: frozenset[int], longest: int, *, logprobs: bool) -> None:
    if not rows:
        return
    limits = {row: min(row.sampling.max_tokens, longest - len(row.prompt)) for row in rows}
    uniforms = {row: _uniforms(row.seed, limits[row]) for row in rows}
    active = list(rows)
    ids, mask = _left_padded(rows, model.device)
    cache = DynamicCache(config=model.config)
    while active:
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        numbers = torch.tensor([uniforms[row][len(row.written)] for row in active], dtype=torch.float64)
        tokens, chosen = _draw(logits.float().cpu(), [row.sampling for row in active], numbers, logprobs)
        for row, token, logprob in zip(active, tokens.tolist(), chosen, strict=True):
            row.written.append(token)
            row.logprobs.append(logprob)
            _note_end(row, end_tokens, limits[row])
        going = [i for i, row in enumerate(active) if row.finish is None]
        ids, mask = tokens[:, None].to(model.device), torch.cat([mask, mask.new_ones(len(active), 1)], 1)
        if len(going) < len(active):
            keep = torch.tensor(going, dtype=torch.long, device=model.device)
            active, ids, mask = [active[i] for i in going], ids[keep], mask[keep]
            if going:
                cache.batch_select_indices(keep)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def score(model: Any, rows: Sequence[Row]) -> None:
    """Compute the log-probabilities of the last tokens of each row's prompt."""
    if not rows:
        return
    ids, mask = _left_padded(rows, model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    keep = max(row.sampling.scored for row in rows) + 1
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=keep)
    chances = torch.log_softmax(output.logits[:, :-1].float(), -1)
    of_tokens = chances.gather(-1, ids[:, 1 - keep :, None])[..., 0].cpu()
    for row, values in zip(rows, of_tokens.tolist(), strict=True):
        row.logprobs, row.finish = values[-row.sampling.scored :], "stop"


def _note_end(row: Row, end_tokens: frozenset[int], limit: int) -> None:
    if row.written[-1] in end_tokens:
        row.finish = "stop"
    elif row.stopped is not None and row.stopped(row.written):
        row.finish, row.by_text = "stop", True
    elif row.cancelled or row.deadline < time.monotonic():
        row.finish, row.error = "error", "no answer within the engine's request_timeout; aborted"
    elif len(row.written) >= limit:
        row.finish = "length"


def _uniforms(seed: int, count: int) -> list[float]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64).tolist()  # type: ignore[no-any-return]


def _left_padded(rows: Sequence[Row], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row.prompt) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, width - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[i, width - len(row.prompt) :] = 1
    return ids.to(device), mask.to(device)


def _draw(
    logits: torch.Tensor, samplings: Sequence[Sampling], numbers: torch.Tensor, logprobs: bool
) -> tuple[torch.Tensor, list[float]]:
    """Return a token for each row, and its log-probability (of the unmodified model, not of the altered
    distribution)."""
    temperatures = torch.tensor([s.temperature for s in samplings])[:, None]
    top_p = torch.tensor([s.top_p for s in samplings], dtype=torch.float64)[:, None]
    likeliest = logits.argmax(-1)
    chances = torch.softmax(logits / temperatures.clamp(min=1e-5), -1).double()
    if bool((top_p < 1).any()):
        ordered, order = chances.sort(-1, descending=True)
        outside = ordered.cumsum(-1) - ordered >= top_p
        chances = torch.zeros_like(chances).scatter(-1, order, ordered.masked_fill(outside, 0.0))
    steps = chances.cumsum(-1)
    drawn = torch.searchsorted(steps, numbers[:, None] * steps[:, -1:], right=True)[:, 0]
    drawn = drawn.clamp(max=logits.shape[-1] - 1)
    tokens = torch.where(temperatures[:, 0] > 0, drawn, likeliest)
    if not logprobs:
        return tokens, [0.0] * len(samplings)
    return tokens, torch.log_softmax(logits, -1).gather(-1, tokens[:, None])[:, 0].tolist()
