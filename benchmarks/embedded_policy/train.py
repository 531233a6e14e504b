"""Train the embedded policy: ``python -m benchmarks.embedded_policy.train --minutes 90``.

A small Llama-architecture model on the project's own families: to solve their problems and, as a second task, to
check solutions. bfloat16 compute with float32 master weights
(on a CPU with AMX about twice as fast as float32), Muon for the matrices and AdamW for the rest, a constant
rate that falls linearly to zero over the last 30 % of the time. Checkpoints every few minutes; the same command
continues from the last one. ``--weights FOLDER`` starts from trained weights, without the optimizers' state.
"""

import json
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.embedded_policy.corpus import IGNORED, TRAINING_SEED, Example, Mix, examples
from benchmarks.embedded_policy.tokenizer import train_tokenizer

WIDTH, LAYERS, POSITIONS = 192, 4, 4096
SEQUENCES_PER_STEP = 16
TOKENS_PER_STEP = 4096
"""With padding: long examples come in smaller batches."""
STEPS_PER_DRAW = 8
"""Examples are drawn for so many steps at once and dealt out by length, so that little is spent on padding."""
DECAY_SHARE = 0.3
MUON_RATE = 4e-3
ADAM_RATE = 2e-3
WARM_UP = 100
"""Steps until the full rate."""
CHECKPOINT_SECONDS = 240


def batches(source: Iterator[Example]) -> Iterator[list[Example]]:
    """Yield batches of similar lengths, in a random order."""
    order = Random(TRAINING_SEED)
    while True:
        drawn = sorted(islice(source, SEQUENCES_PER_STEP * STEPS_PER_DRAW), key=lambda e: len(e.ids))
        dealt: list[list[Example]] = [[]]
        for example in drawn:
            if len(dealt[-1]) >= min(SEQUENCES_PER_STEP, max(1, TOKENS_PER_STEP // len(example.ids))):
                dealt.append([])
            dealt[-1].append(example)
        order.shuffle(dealt)
        yield from dealt


def padded(batch: list[Example], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (ids, labels), padded on the right, each of shape (batch, longest)."""
    width = max(len(e.ids) for e in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED, dtype=torch.long)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        labels[row, : len(example.ids)] = torch.tensor(example.labels)
    return ids.to(device), labels.to(device)


def loss_sum(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the summed cross entropy over the tokens that carry loss (logits only there)."""
    hidden = model.model(input_ids=ids, use_cache=False)[0]
    targets = labels[:, 1:]
    keep = targets != IGNORED
    logits = model.lm_head(hidden[:, :-1][keep])
    return torch.nn.functional.cross_entropy(logits.float(), targets[keep], reduction="sum")


class Trainer:
    """The model in bfloat16, its float32 master weights, and how far training has come."""

    def __init__(self, folder: Path, *, device: str, weights: Path | None = None) -> None:
        self.folder = folder
        self.device = device
        if not (folder / "tokenizer.json").exists():
            train_tokenizer(folder)
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        torch.manual_seed(0)
        config = _config(self.tokenizer)
        model = LlamaForCausalLM(config) if weights is None else _adopted(weights, self.tokenizer)
        self.model = model.to(device, torch.bfloat16)
        if device == "cpu":
            self.model.set_attn_implementation("eager")  # for short rows faster than the fused kernel's backward pass
        self.master = [p.detach().float().clone().requires_grad_() for p in self.model.parameters()]
        self.optimizers = _optimizers(self.model, self.master)
        self.progress: dict[str, Any] = {"seconds": 0.0, "examples": 0, "tokens": 0, "steps": 0}
        if weights is not None:
            self.progress = json.loads((weights / "training.json").read_text())
            self.progress.pop("remarks", None)
        self.began = self.progress["seconds"]
        """Seconds of training of the weights that this folder started from."""
        self.full_rate = 1.0

    def restore(self) -> bool:
        """Continue from the last checkpoint; return whether there is one."""
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True, map_location=self.device)
            for master, saved in zip(self.master, state["master"], strict=True):
                master.data.copy_(saved)
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.progress = state["progress"]
            self.began = state["began"]
            self._publish()
        return path.exists()

    def save(self) -> None:
        """Write the checkpoint and, beside it, the model as any program loads it."""
        state = {
            "master": [p.detach() for p in self.master],
            "optimizers": [o.state_dict() for o in self.optimizers],
            "progress": self.progress,
            "began": self.began,
        }
        torch.save(state, self.folder / "checkpoint.tmp")
        (self.folder / "checkpoint.tmp").replace(self.folder / "checkpoint.pt")
        self.model.save_pretrained(self.folder)
        (self.folder / "training.json").write_text(json.dumps(self.progress, indent=1) + "\n")

    def step(self, batch: list[Example], rate: float) -> float:
        """Do one optimizer step at a share of the full rates; return the mean loss in nats per token."""
        count = sum(label != IGNORED for e in batch for label in e.labels)
        loss = loss_sum(self.model, *padded(batch, self.device)) / count
        loss.backward()
        for master, parameter in zip(self.master, self.model.parameters(), strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self.master, 1.0)
        for optimizer, full in zip(self.optimizers, (MUON_RATE, ADAM_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * rate * self.full_rate
            optimizer.step()
        self._publish()
        self.progress["tokens"] += sum(len(e.ids) for e in batch)
        self.progress["examples"] += len(batch)
        self.progress["steps"] += 1
        return float(loss.item())

    def _publish(self) -> None:
        with torch.no_grad():
            for master, parameter in zip(self.master, self.model.parameters(), strict=True):
                parameter.copy_(master)


def _config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 64,
        num_key_value_heads=WIDTH // 64,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _adopted(weights: Path, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    model = LlamaForCausalLM.from_pretrained(weights)
    model.config.max_position_embeddings = POSITIONS
    return with_vocabulary(model, PreTrainedTokenizerFast.from_pretrained(weights), tokenizer)


def with_vocabulary(
    model: LlamaForCausalLM, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast
) -> LlamaForCausalLM:
    """Return the model with a vector for each token of ``new``.

    A token that ``old`` lacks starts from the mean of the pieces that ``old`` cuts it into.
    """
    known, before = old.get_vocab(), model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(-(-len(new) // 64) * 64, mean_resizing=False)
    vectors = model.get_input_embeddings().weight
    with torch.no_grad():
        vectors[len(new) :] = 0
        for token, place in new.get_vocab().items():
            text = new.decode([place])
            pieces = [known[token]] if token in known else old.encode(text) or [old.eos_token_id]
            vectors[place] = before[pieces].mean(dim=0)
    model.config.eos_token_id = model.config.pad_token_id = new.eos_token_id
    return model


def _optimizers(model: LlamaForCausalLM, master: list[torch.Tensor]) -> list[torch.optim.Optimizer]:
    names = [name for name, _ in model.named_parameters()]
    matrix = [p for n, p in zip(names, master, strict=True) if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in zip(names, master, strict=True) if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrix, lr=MUON_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=ADAM_RATE, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def rate_at(used: float, steps: int) -> float:
    """Return the share of the full learning rate: a short warm-up, a plateau, then a line to zero.

    ``used`` is the share of the time that is over; ``steps`` are those that the optimizers' state has seen.
    """
    warm = min(1.0, (steps + 1) / WARM_UP)
    return warm * min(1.0, max(0.0, 1.0 - used) / DECAY_SHARE)


def train(trainer: Trainer, minutes: float, mix: Mix) -> None:
    """Train until ``minutes`` in all, over all sessions, are used."""
    warm = trainer.restore()
    budget = minutes * 60
    first, start = trainer.progress["steps"] - (WARM_UP if warm else 0), trainer.began
    began = {"minute": round(trainer.progress["seconds"] / 60, 1), **mix._asdict()}
    trainer.progress.setdefault("phases", []).append(began)
    source = batches(examples(trainer.tokenizer, trainer.progress["examples"], mix))
    mark = saved = time.monotonic()
    losses: list[float] = []
    while trainer.progress["seconds"] < budget:
        used = (trainer.progress["seconds"] - start) / (budget - start)
        rate = rate_at(used, trainer.progress["steps"] - first)
        losses.append(trainer.step(next(source), rate))
        now = time.monotonic()
        trainer.progress["seconds"] += now - mark
        mark = now
        if trainer.progress["steps"] % 200 == 0:
            _say(trainer.progress, sum(losses) / len(losses), budget)
            losses = []
        if now - saved > CHECKPOINT_SECONDS:
            trainer.save()
            saved = time.monotonic()
    trainer.save()


def _say(progress: Mapping[str, float], loss: float, budget: float) -> None:
    minutes, rate = progress["seconds"] / 60, progress["tokens"] / progress["seconds"]
    line = f"{minutes:6.1f} of {budget / 60:.0f} min  step {progress['steps']:6d}  loss {loss:.4f}  {rate:.0f} tok/s"
    print(line, flush=True)


def main(
    folder: Path = Path("checkpoints/policy"),
    minutes: float = 90,
    free: float = 0.75,
    check: float = 0.05,
    domains: float = 0.0,
    long: float = 0.0,
    repair: float = 0.15,
    weights: Path | None = None,
    rate: float = 1.0,
) -> None:
    """The shares are those of ``Mix``; ``rate`` is a share of the full learning rates."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(folder, device="cuda" if torch.cuda.is_available() else "cpu", weights=weights)
    trainer.full_rate = rate
    train(trainer, minutes, Mix(free=free, check=check, repair=repair, domains=domains, long=long))


if __name__ == "__main__":
    typer.run(main)
