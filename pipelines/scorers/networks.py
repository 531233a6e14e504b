"""Loading the networks of the shapes. Code that comes with a model is never run: two heads are built here."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from stepforge.pipelines.scorers.shapes import Shape, TokenClassification
from stepforge.schemas.errors import BadInput, first_line

HEADS = {"classes": "score", "value": "v_head.summary"}
"""Weight names of separate heads: Qwen's two layers, TRL's value head."""


def load_network(settings: Shape, located: str) -> Any:
    """Return a network: token ids and mask in, (rows, tokens, outputs) out.

    Raises BadInput: the model is missing, or has no head of this shape.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForTokenClassification

    dtype = settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)
    given = {"revision": settings.revision, "dtype": dtype, "trust_remote_code": False}
    classifies = isinstance(settings, TokenClassification)
    try:
        if settings.output in HEADS and not classifies:
            body = AutoModel.from_pretrained(located, **given)
            head = read_head(located, settings.revision, HEADS[settings.output]).to(body.dtype)
            network: Any = _Headed(body, head)
        else:
            kind: Any = AutoModelForTokenClassification if classifies else AutoModelForCausalLM
            network = kind.from_pretrained(located, **given)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
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
