"""Train a policy with TRL, in an environment of TRL's own: called by ``policy_bench.py`` with one JSON object.

TRL's DPO appends the end-of-text token to every chosen and rejected text that is not a chat. After a whole solution
that is right; after a single step it teaches the model to stop. ``next_step`` removes it after TRL has tokenized the
rows, and refuses to train if it is not there to be taken off.

Imports nothing of stepforge.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

LONGEST = 512
"""Tokens of prompt and completion together."""
BATCH = 16
BETA = 0.1
"""Of DPO: how dear it is to leave the policy trained from."""


def without_end(row: dict[str, list[int]], end: int) -> dict[str, list[int]]:
    """Return a tokenized pair without its closing end-of-text tokens."""
    for column in ("chosen_ids", "rejected_ids"):
        if row[column][-1] != end:
            raise SystemExit(f"trl_policies: {column} has no end-of-text at its end; this TRL prepares rows otherwise")
        row[column] = row[column][:-1]
    return row


def shared_settings(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_dir": given["out"],
        "learning_rate": given["rate"],
        "max_steps": given["steps"],
        "per_device_train_batch_size": BATCH,
        "lr_scheduler_type": "linear",
        "warmup_steps": max(1, given["steps"] // 20),
        "max_length": LONGEST,
        "seed": given["seed"],
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": max(1, given["steps"] // 4),
        "disable_tqdm": True,
    }


def rows_of(folder: Path, most: int, columns: list[str]) -> Dataset:
    """Return the training split of an export: all of it, or ``most`` rows spread evenly over it."""
    files = sorted(str(path) for path in folder.glob("train-*.parquet"))
    if not files:
        raise SystemExit(f"trl_policies: {folder}: no train-*.parquet")
    rows = Dataset.from_parquet(files).select_columns(columns)
    if not 0 < most < len(rows):
        return rows
    return rows.select([i * len(rows) // most for i in range(most)])


def trainer_of(given: dict[str, Any]) -> Any:
    """Return the trainer, its rows prepared; ``given`` is an ``Arm`` with its folders and seed."""
    columns = ["prompt", "completion"] if given["method"] == "sft" else ["prompt", "chosen", "rejected"]
    folders = ((Path(given["datasets"], export), most) for export, most in given["rows"].items())
    data = concatenate_datasets([rows_of(folder, most, columns) for folder, most in folders])
    tokenizer = AutoTokenizer.from_pretrained(given["weights"])
    model = AutoModelForCausalLM.from_pretrained(given["weights"], dtype=torch.float32)
    settings = shared_settings(given)
    if given["method"] == "sft":
        return SFTTrainer(model=model, args=SFTConfig(**settings), train_dataset=data, processing_class=tokenizer)
    own = given["sft_weight"]
    losses, weights = (["sigmoid", "sft"], [1.0, own]) if own else (["sigmoid"], None)
    config = DPOConfig(**settings, beta=BETA, loss_type=losses, loss_weights=weights)
    trainer = DPOTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    if given["next_step"]:
        trainer.train_dataset = trainer.train_dataset.map(without_end, fn_kwargs={"end": tokenizer.eos_token_id})
    return trainer


if __name__ == "__main__":
    torch.set_num_threads(1)
    asked = json.loads(sys.argv[1])
    trained = trainer_of(asked)
    trained.train()
    trained.model.save_pretrained(asked["out"])
    trained.processing_class.save_pretrained(asked["out"])
