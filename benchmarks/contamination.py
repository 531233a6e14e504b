"""How much of 300 held-out problems, planted in 10,000 others, the contamination filter finds, and what it costs.

    python -m benchmarks.contamination --data DIR             # what docs/results/filters.md shows
    python -m benchmarks.contamination --data DIR --tuning    # the split on which the threshold was chosen

``--data`` holds gsm8k_test_600.jsonl, math500.jsonl and math_train_1000.jsonl (``question`` or ``problem``). The halves
of the files are two splits that share no problem; rewordings of the two are made by rules that share none
(``benchmarks/rewordings.py``). The others are the rest of the same files' half and problems of the families.
"""

import json
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import typer

from benchmarks.measured import with_interval
from benchmarks.rewordings import Rewording, renumbered, reworded, reworded_for_tuning
from stepforge.filters.held_out import WAYS, HeldOutIndex, tokens_of
from stepforge.generators.families import ALL_FAMILIES

ALIKE = 0.4
PLANTED = {"gsm8k": ("gsm8k_test_600.jsonl", "question", 150), "math": ("math500.jsonl", "problem", 150)}
OTHERS = 10_000


class Split(NamedTuple):
    """Held-out questions by set, and the others: those of the same kind, and those of the families."""

    held_out: dict[str, list[str]]
    alike: list[str]
    families: list[str]

    @classmethod
    def of(cls, data: Path, half: int) -> "Split":
        held_out, alike = {}, _questions(data / "math_train_1000.jsonl", "problem")[half::2]
        for name, (file, column, count) in PLANTED.items():
            found = _questions(data / file, column)[half::2]
            Random(half).shuffle(found)
            held_out[name], rest = found[:count], found[count:]
            alike += rest
        drawn = [
            family(kind=family.model_fields["kind"].default, wording=wording).item(half, index).question
            for index in range(OTHERS)
            for family in ALL_FAMILIES
            for wording in ("plain", "free")
            if index < OTHERS // (2 * len(ALL_FAMILIES)) + 1
        ]
        return cls(held_out, alike, drawn[: OTHERS - len(alike)])


def _questions(path: Path, column: str) -> list[str]:
    return [json.loads(line)[column] for line in path.read_text(encoding="utf-8").splitlines()]


def _rate(found: int, of: int) -> str:
    return f"{with_interval(found, of, '.4f')}, {found} of {of}"


def measure(split: Split, rewording: Rewording) -> None:
    """Print recall by kind of plant, false alarms, and questions per second of CPU."""
    index = HeldOutIndex(split.held_out.items(), WAYS, ALIKE)
    planted = [question for questions in split.held_out.values() for question in questions]
    kinds: dict[str, Rewording] = {"verbatim": lambda text, rng: f" {text.upper()}\n", "renumbered": renumbered}
    kinds["reworded"] = rewording
    for kind, change in kinds.items():
        changed = [change(text, Random(i)) for i, text in enumerate(planted)]
        hits = [index.find(text) for text in changed]
        ways = Counter(hit.partition(" in ")[0] for hit in hits if hit is not None)
        print(f"{kind:11} recall {_rate(sum(ways.values()), len(planted))}   {dict(ways)}")
        if kind == "reworded":
            pairs = [(set(tokens_of(a)), set(tokens_of(b))) for a, b in zip(planted, changed, strict=True)]
            kept = sorted(len(a & b) / len(a | b) for a, b in pairs)
            print(f"{'':11} words shared with the original: median {kept[len(kept) // 2]:.2f} (Jaccard)")
    began = time.process_time()
    alarms = {
        name: [index.find(text) for text in rows]
        for name, rows in (("alike", split.alike), ("families", split.families))
    }
    seconds = time.process_time() - began
    for name, found in alarms.items():
        ways = Counter(hit.partition(" in ")[0] for hit in found if hit is not None)
        print(f"{name:11} false alarms {_rate(sum(ways.values()), len(found))}   {dict(ways)}")
    every = [hit for found in alarms.values() for hit in found]
    print(f"{'all others':11} false alarms {_rate(sum(hit is not None for hit in every), len(every))}")
    print(f"{len(every) / seconds:,.0f} questions a second of one CPU, against {len(index)} held-out ones")


def main(data: Annotated[Path, typer.Option()], tuning: bool = False) -> None:
    if not (data / "gsm8k_test_600.jsonl").exists():
        raise SystemExit(f"SKIPPED: {data} holds no gsm8k_test_600.jsonl; nothing was measured")
    print(f"split {'tuning' if tuning else 'reported'}, alike {ALIKE}")
    measure(Split.of(data, 0 if tuning else 1), reworded_for_tuning if tuning else reworded)


if __name__ == "__main__":
    typer.run(main)
