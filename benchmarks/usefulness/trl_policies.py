"""Train a policy with TRL, in an environment of TRL's own: called by ``benchmarks/usefulness/__main__.py``, or by hand.

    python benchmarks/usefulness/trl_policies.py --method dpo --data DIR/datasets/step_preference 0 --weights FOLDER \
        --out FOLDER --next-step

TRL's DPO appends the end-of-text token to every chosen and rejected text that is not a chat. After a whole solution
that is right; after a single step it teaches the model to stop. ``--next-step`` removes it after TRL has tokenized the
rows, and refuses to train if it is not there to be taken off.

Imports nothing of stepforge.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

LONGEST = 512
"""Tokens of prompt and completion together."""


def without_end(row: dict[str, list[int]], end: int) -> dict[str, list[int]]:
    """Return a tokenized pair without its closing end-of-text tokens."""
    for column in ("chosen_ids", "rejected_ids"):
        if row[column][-1] != end:
            raise SystemExit(f"trl_policies: {column} has no end-of-text at its end; this TRL prepares rows otherwise")
        row[column] = row[column][:-1]
    return row


def shared_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "output_dir": str(arguments.out),
        "learning_rate": arguments.rate,
        "max_steps": arguments.steps,
        "per_device_train_batch_size": arguments.batch,
        "lr_scheduler_type": "linear",
        "warmup_steps": max(1, arguments.steps // 20),
        "max_length": LONGEST,
        "seed": arguments.seed,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": max(1, arguments.steps // 4),
        "disable_tqdm": True,
    }


def rows_of(folder: str, most: int, columns: list[str]) -> Dataset:
    """Return the training split of an export: all of it, or ``most`` rows spread evenly over it."""
    files = sorted(str(path) for path in Path(folder).glob("train-*.parquet"))
    if not files:
        raise SystemExit(f"trl_policies: {folder}: no train-*.parquet")
    rows = Dataset.from_parquet(files).select_columns(columns)
    if not 0 < most < len(rows):
        return rows
    return rows.select([i * len(rows) // most for i in range(most)])


def trainer_of(arguments: argparse.Namespace) -> Any:
    """Return the trainer, its rows prepared."""
    columns = ["prompt", "completion"] if arguments.method == "sft" else ["prompt", "chosen", "rejected"]
    data = concatenate_datasets([rows_of(folder, int(most), columns) for folder, most in arguments.data])
    tokenizer = AutoTokenizer.from_pretrained(arguments.weights)
    model = AutoModelForCausalLM.from_pretrained(arguments.weights, dtype=torch.float32)
    settings = shared_settings(arguments)
    if arguments.method == "sft":
        return SFTTrainer(model=model, args=SFTConfig(**settings), train_dataset=data, processing_class=tokenizer)
    losses = ["sigmoid", "sft"] if arguments.sft_weight else ["sigmoid"]
    weights = [1.0, arguments.sft_weight] if arguments.sft_weight else None
    config = DPOConfig(**settings, beta=arguments.beta, loss_type=losses, loss_weights=weights)
    trainer = DPOTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    if arguments.next_step:
        trainer.train_dataset = trainer.train_dataset.map(without_end, fn_kwargs={"end": tokenizer.eos_token_id})
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=("dpo", "sft"), required=True)
    parser.add_argument(
        "--data",
        nargs=2,
        action="append",
        required=True,
        metavar=("FOLDER", "MOST"),
        help="an export's folder, and most rows of it (0: all); several are trained on together",
    )
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--next-step", action="store_true", help="the pairs are single steps")
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument("--steps", type=int, default=100, help="optimizer steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--sft-weight", type=float, default=0.0, help="of the chosen text's own loss beside DPO's")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainer = trainer_of(arguments)
    trainer.train()
    trainer.model.save_pretrained(arguments.out)
    trainer.processing_class.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
