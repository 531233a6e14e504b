"""Reward models in transformers. Code that comes with a model is never run: two heads are built here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open

from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.transformers_engine import UNBOUNDED, device_of
from stepforge.pipelines.scorers.model_scorer import ModelScorer
from stepforge.pipelines.scorers.shapes import Reading, ScorerSettings, TokenClassification
from stepforge.schemas.errors import BadInput, first_line

HEADS = {"classes": "score", "value": "v_head.summary"}
"""Weight names of separate heads: Qwen's two layers, TRL's value head."""


def load(settings: ScorerSettings) -> ModelScorer:
    """Load the model. Raises BadInput: the model or the device is missing, or the model does not have this shape."""
    located = locate(settings.model, "scorer.model")
    network = load_network(settings, located)
    try:
        network = network.to(torch.device(device_of(settings.device)))
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"scorer.device: {settings.device}: {first_line(error)}") from error
    return ModelScorer(settings, located, _Network(settings, network), "transformers", transformers.__version__)


class _Network:
    def __init__(self, settings: ScorerSettings, network: Any) -> None:
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


def load_network(settings: ScorerSettings, located: str) -> Any:
    """Return a network: token ids and mask in, (rows, tokens, outputs) out.

    Raises BadInput: the model is missing, or has no head of this shape.
    """
    dtype = settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)
    given = {"revision": settings.revision, "dtype": dtype, "trust_remote_code": False}
    classifies = isinstance(settings, TokenClassification)
    try:
        if settings.output in HEADS and not classifies:
            body = transformers.AutoModel.from_pretrained(located, **given)
            head = read_head(located, settings.revision, HEADS[settings.output]).to(body.dtype)
            network: Any = _Headed(body, head)
        else:
            kind: Any = (
                transformers.AutoModelForTokenClassification if classifies else transformers.AutoModelForCausalLM
            )
            network = kind.from_pretrained(located, **given)
    except Exception as error:  # safetensors has its own class for damaged weights
        raise BadInput(f"scorer: transformers cannot load {settings.model}: {first_line(error)}") from error
    return network.eval()


class _Headed(torch.nn.Module):  # type: ignore[misc]
    """A body and a head on its last hidden states."""

    def __init__(self, body: Any, head: torch.nn.Module) -> None:
        super().__init__()
        self.body, self.head, self.config = body, head, body.config

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        from transformers.modeling_outputs import TokenClassifierOutput

        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return TokenClassifierOutput(logits=self.head(hidden))


def read_head(located: str, revision: str | None, name: str) -> torch.nn.Sequential:
    """Return the layers of a head from a model's weights, with a ReLU between each two.

    Raises ValueError: the weights hold no such head.
    """
    tensors: dict[str, torch.Tensor] = {}
    for path in _weight_files(located, revision):
        with safe_open(path, framework="pt") as file:
            tensors |= {key: file.get_tensor(key) for key in file.keys() if key.startswith(f"{name}.")}  # noqa: SIM118
    weights = sorted(key for key in tensors if key.endswith(".weight"))
    if not weights:
        raise ValueError(f"its weights hold no {name}.weight")
    layers: list[torch.nn.Module] = []
    for key in weights:
        weight, bias = tensors[key], tensors.get(key.removesuffix("weight") + "bias")
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.load_state_dict({"weight": weight, **({} if bias is None else {"bias": bias})})
        layers += [torch.nn.ReLU(), layer] if layers else [layer]
    return torch.nn.Sequential(*layers)


def _weight_files(located: str, revision: str | None) -> list[Path]:
    if not Path(located).is_dir():
        from huggingface_hub import snapshot_download

        located = snapshot_download(located, revision=revision, allow_patterns=["*.safetensors"])
    return sorted(Path(located).glob("*.safetensors"))
