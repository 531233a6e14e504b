"""Reward models in transformers."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import transformers

from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.transformers_engine import UNBOUNDED, device_of
from stepforge.pipelines.scorers.model_scorer import ModelScorer
from stepforge.pipelines.scorers.networks import load_network
from stepforge.pipelines.scorers.shapes import Reading, Shape
from stepforge.schemas.errors import BadInput, first_line


def load(settings: Shape) -> ModelScorer:
    """Load the model. Raises BadInput: the model or the device is missing, or the model does not have this shape."""
    located = locate(settings.model, "scorer.model")
    network = load_network(settings, located)
    try:
        network = network.to(torch.device(device_of(settings.device)))
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"scorer.device: {settings.device}: {first_line(error)}") from error
    return ModelScorer(settings, located, _Network(settings, network), "transformers", transformers.__version__)


class _Network:
    def __init__(self, settings: Shape, network: Any) -> None:
        self._settings = settings
        self._network = network
        stated = getattr(network.config, "max_position_embeddings", None) or UNBOUNDED
        self.longest = min(settings.max_model_len or stated, stated)

    def outputs(self, readings: Sequence[Reading]) -> Iterator[torch.Tensor]:
        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
        for batch in _batches(readings, self._settings.tokens_per_batch):
            yield from self._read(batch)

    def _read(self, readings: Sequence[Reading]) -> torch.Tensor:
        """Return (readings, longest, outputs); padded on the right, which a causal model does not see."""
        ids = torch.zeros(len(readings), max(len(r.ids) for r in readings), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, reading in enumerate(readings):
            ids[number, : len(reading.ids)] = torch.tensor(reading.ids)
            mask[number, : len(reading.ids)] = 1
        device = next(self._network.parameters()).device
        with torch.inference_mode():
            return self._network(input_ids=ids.to(device), attention_mask=mask.to(device)).logits

    def close(self) -> None:
        self._network = None


def _batches(readings: Sequence[Reading], most: int) -> Iterator[list[Reading]]:
    """Yield the readings in order, in batches of at most ``most`` padded tokens but at least one reading."""
    batch: list[Reading] = []
    for one in readings:
        longest = max(len(reading.ids) for reading in [*batch, one])
        if batch and longest * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
