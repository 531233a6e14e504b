"""Train a process reward model: ``python -m benchmarks.usefulness.train_prm --rows rows.jsonl --out checkpoints/prm``.

Each line of the rows is ``{"prompt": ..., "completions": [...], "labels": [...]}``, a label between 0 and 1 for each
step, null for a step that carries no loss. ``--kind surprise`` trains a head on a frozen policy's reading of the
steps, ``--kind hidden`` the policy's body and a token classification head. The head starts from nothing.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Literal

import torch
from pydantic import ValidationError

from benchmarks.usefulness.encoding import Encoded, encode
from benchmarks.usefulness.prm import RIGHT, HiddenStateModel
from benchmarks.usefulness.prm_rows import PrmRow
from benchmarks.usefulness.reading import load_policy, readings
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.scorers.surprise_head import HeadTraining, optimizer_step, train_head
from stepforge.schemas.errors import BadInput

Kind = Literal["surprise", "hidden"]
ROWS_PER_DRAW = 256
"""Rows are drawn so many at once and dealt out by length, so that little is spent on padding."""


SETTINGS: dict[Kind, HeadTraining] = {
    "surprise": HeadTraining(),
    "hidden": HeadTraining(steps=250, rate=1e-3, batch=16),
}


def train_hidden(rows: Sequence[PrmRow], weights: Path, settings: HeadTraining, seed: int) -> HiddenStateModel:
    """Return a token classification model whose body starts from a policy's weights.

    Raises:
        BadInput: no row has a step with a label.
    """
    torch.manual_seed(seed)
    trained = HiddenStateModel(weights)
    examples = [_example(encode(trained.tokenizer, row.prompt, row.completions), row) for row in rows]
    examples = [example for example in examples if example[1]]
    if not examples:
        raise BadInput("no row has a step with a label; there is nothing to train on")
    trained.model.train()
    optimizer = _optimizer(trained.model, settings)
    for number, batch in zip(range(settings.steps), _dealt(examples, settings.batch, Random(seed)), strict=False):
        right = torch.tensor([target for _, targets in batch for target in targets])
        logits = trained.end_logits([encoded for encoded, _ in batch])
        targets = torch.stack([1 - right, right] if RIGHT else [right, 1 - right], dim=1)
        optimizer_step(trained.model, optimizer, torch.nn.functional.cross_entropy(logits, targets), settings, number)
    return trained


def _labeled(row: PrmRow) -> list[tuple[int, float]]:
    return [(i, label) for i, label in enumerate(row.labels) if label is not None]


def _example(encoded: Encoded, row: PrmRow) -> tuple[Encoded, list[float]]:
    """Keep the steps with a label, and no token after the last of them."""
    kept = _labeled(row)
    ends = [encoded.ends[i] for i, _ in kept]
    return Encoded(encoded.ids[: ends[-1] + 1 if ends else 0], encoded.start, ends), [label for _, label in kept]


def _optimizer(model: torch.nn.Module, settings: HeadTraining) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)


def _dealt(
    examples: Sequence[tuple[Encoded, list[float]]], size: int, rng: Random
) -> Iterator[list[tuple[Encoded, list[float]]]]:
    """Yield batches of similar lengths in a random order, again and again."""
    order: list[tuple[Encoded, list[float]]] = []
    while True:
        while len(order) < ROWS_PER_DRAW:
            order += rng.sample(examples, len(examples))
        drawn, order = sorted(order[:ROWS_PER_DRAW], key=lambda e: len(e[0].ids)), order[ROWS_PER_DRAW:]
        dealt = [drawn[i : i + size] for i in range(0, len(drawn), size)]
        rng.shuffle(dealt)
        yield from dealt


def read_rows(path: Path) -> list[PrmRow]:
    """Return the rows of a JSONL file.

    Raises:
        BadInput: the file cannot be read, or a line is no row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(PrmRow.model_validate_json(line))
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {error.errors()[0]['msg']}") from None
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=("surprise", "hidden"), default="surprise")
    parser.add_argument("--weights", type=Path, default=embedded_folder(), help="the policy whose body is used")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        rows = read_rows(arguments.rows)
        if arguments.kind == "hidden":
            trained = train_hidden(rows, arguments.weights, SETTINGS["hidden"], arguments.seed)
            trained.model.save_pretrained(arguments.out)
            trained.tokenizer.save_pretrained(arguments.out)
        else:
            read = readings(*load_policy(arguments.weights), [(row.prompt, row.completions) for row in rows])
            train_head(read, [row.labels for row in rows], SETTINGS["surprise"], arguments.seed).save(arguments.out)
    except BadInput as error:
        raise SystemExit(f"train_prm: {error}") from None


if __name__ == "__main__":
    main()
