"""Fine-tune a causal language model on a run's data sets: the default trainer of ``stepforge run --rounds``.

    python -m stepforge.pipelines.commands.finetune --data runs/x/round-01/datasets --model MODEL --out FOLDER

Plain supervised training on prompt and completion, the loss on the completion and its end alone. Prompt and completion
are tokenized separately, as the policy sampled them. For small models on one device; for more, name your own trainer
under ``[train]``. By default it learns only from right solutions; reflection traces (``--exports``) taught the embedded
policy to interrupt right steps (docs/results/usefulness.md).
"""

import argparse
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from stepforge.pipelines.engines.model_files import TOKENIZER_FILES, locate
from stepforge.pipelines.engines.tokenization import load_tokenizer

EXPORTS = ("rejection_sampling",)
IGNORED = -100


class TrainingText(NamedTuple):
    """Tokens to read and tokens to learn."""

    prompt: list[int]
    completion: list[int]
    """With the end-of-text token."""


def tokenized(rows: Sequence[tuple[str, str]], encode: Any, end: int, longest: int) -> list[TrainingText]:
    """Return the rows as tokens; those that do not fit the context are left out."""
    found = [TrainingText(list(encode(prompt)), [*encode(completion), end]) for prompt, completion in rows]
    return [row for row in found if len(row.prompt) + len(row.completion) <= longest]


def batches(rows: list[TrainingText], size: int, epochs: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (tokens, targets) of shape (rows, longest row), targets shifted by one and ``IGNORED`` in the prompt."""
    rng = Random(seed)
    for _ in range(epochs):
        order = rng.sample(rows, len(rows))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            width = max(len(row.prompt) + len(row.completion) for row in chosen) - 1
            tokens = torch.zeros(len(chosen), width, dtype=torch.long)
            targets = torch.full((len(chosen), width), IGNORED)
            for i, row in enumerate(chosen):
                whole = torch.tensor(row.prompt + row.completion)
                tokens[i, : len(whole) - 1] = whole[:-1]
                targets[i, len(row.prompt) - 1 : len(whole) - 1] = whole[len(row.prompt) :]
            yield tokens, targets


def train(model: Any, rows: list[TrainingText], chosen: argparse.Namespace) -> None:
    """Train in place: AdamW, linear warm-up over a twentieth of the steps, then linear decay to nothing."""
    steps = chosen.epochs * math.ceil(len(rows) / chosen.batch)
    warm = max(1, steps // 20)
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    device = next(model.parameters()).device
    for step, (tokens, targets) in enumerate(batches(rows, chosen.batch, chosen.epochs, chosen.seed)):
        logits = model(input_ids=tokens.to(device)).logits
        loss = cross_entropy(logits.flatten(0, 1).float(), targets.to(device).flatten(), ignore_index=IGNORED)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % max(1, steps // 20) == 0:
            sys.stdout.write(f"step {step + 1} of {steps}: loss {loss.item():.4f}\n")
            sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a run's datasets folder")
    parser.add_argument("--model", required=True, help="a folder, or a name on the hub")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--exports", nargs="+", default=EXPORTS, help="folders of data sets with prompt and completion")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; small models are fastest with one")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    located = locate(chosen.model)
    model = AutoModelForCausalLM.from_pretrained(located, dtype=torch.float32)
    model.to("cuda" if torch.cuda.is_available() else "cpu").train()
    end = model.generation_config.eos_token_id or model.config.eos_token_id
    tokenizer = load_tokenizer(located, None)
    paths = [path for name in chosen.exports for path in sorted((chosen.data / name).glob("train-*.parquet"))]
    tables = [pq.read_table(p, columns=["prompt", "completion"], page_checksum_verification=True) for p in paths]
    read = [(row["prompt"], row["completion"]) for table in tables for row in table.to_pylist()]
    longest = getattr(model.config, "max_position_embeddings", None) or 1 << 30
    rows = tokenized(read, tokenizer.encode, end[0] if isinstance(end, list) else end, longest)
    if not rows:
        sys.exit(f"finetune: {chosen.data}: no rows in {' or '.join(chosen.exports)}; list one under [[export]]")
    train(model, rows, chosen)
    chosen.out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(chosen.out)
    if Path(located).is_dir():
        for name in TOKENIZER_FILES:
            if (Path(located) / name).exists():
                shutil.copyfile(Path(located) / name, chosen.out / name)
    else:
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(located).save_pretrained(chosen.out)


if __name__ == "__main__":
    main()
