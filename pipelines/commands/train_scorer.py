"""Train the small reward model on a run's labels: a head on the policy's log-probabilities of each step.

    python -m stepforge.pipelines.commands.train_scorer --data runs/x/datasets --model MODEL --out FOLDER

Reads the ``stepwise`` export: steps before the first error are right, the first error is wrong, nothing after it
counts. Takes seconds on a CPU; the policy's weights are not changed. ``stepforge run --rounds`` calls it automatically
if the run file has a ``scorer`` of kind ``surprise``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import torch

from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.pipelines.scorers.surprise import Surprise
from stepforge.pipelines.scorers.surprise_head import HeadTraining, step_features, train_head
from stepforge.pipelines.scorers.transformers_model import load_network
from stepforge.schemas.errors import BadInput

EXPORT = "stepwise"


class Row(NamedTuple):
    question: str
    steps: tuple[str, ...]
    targets: tuple[float | None, ...]


def rows_of(data: Path) -> list[Row]:
    found = []
    for path in sorted((data / EXPORT).glob("train-*.parquet")):
        table = pq.read_table(path, columns=["prompt", "completions", "first_error"], page_checksum_verification=True)
        for row in table.to_pylist():
            steps, error = tuple(row["completions"]), row["first_error"]
            judged = len(steps) if error < 0 else error + 1
            targets = tuple(float(i != error) if i < judged else None for i in range(len(steps)))
            found.append(Row(row["prompt"], steps, targets))
    if not found:
        raise BadInput(f"{data}: no rows in {EXPORT}; list it under [[export]]")
    return found


@torch.inference_mode()  # type: ignore[untyped-decorator]
def read_solutions(settings: Surprise, solutions: Sequence[tuple[str, Sequence[str]]]) -> list[torch.Tensor]:
    """Return each solution's readings, (steps, features), from its question and steps."""
    located = locate(settings.model)
    network, tokenizer = load_network(settings, located), load_tokenizer(located, settings.revision)
    found = []
    for question, steps in solutions:
        (reading,) = settings.readings(tokenizer, question, steps)
        ids = torch.tensor([reading.ids])
        logits = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        found.append(step_features(logits, reading, tokenizer))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a run's datasets folder")
    parser.add_argument("--model", required=True, help="the policy: a folder, a hub name, embedded or embedded-free")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompt", default=Surprise().prompt, help="how the policy is prompted")
    parser.add_argument("--steps", type=int, default=HeadTraining().steps)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    settings = Surprise(model=chosen.model, prompt=chosen.prompt)
    try:
        rows = rows_of(chosen.data)
        sys.stdout.write(f"reading {len(rows)} solutions with {settings.model}\n")
        read, targets = read_solutions(settings, [row[:2] for row in rows]), [row.targets for row in rows]
        head = train_head(read, targets, HeadTraining(steps=chosen.steps), chosen.seed)
    except BadInput as error:
        parser.exit(2, f"train_scorer: {error}\n")
    head.save(chosen.out)
    sys.stdout.write(f"wrote {chosen.out}\n")


if __name__ == "__main__":
    main()
