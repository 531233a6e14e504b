"""Free wording, measured on drawn solutions: how often siblings begin alike, and how often the oracle is right.

    python benchmarks/free_wording.py

The oracle's verdict on every line is compared with what the line was drawn as; six in ten solutions hold a slip, four
in ten of these a repair. ``held_out`` draws from forms that its reader was not tuned on.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

import typer

from benchmarks.embedded_policy.free_solutions import free_solution
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family
from stepforge.labelers.oracle import judge
from stepforge.schemas.rollout import Step
from stepforge.schemas.seeds import rng_of

AnyFamily = Callable[..., Family]
SEED = 3
LEVELS = (1, 2, 3, 4, 5, 6)
SIBLINGS = 8


def oracle_counts(family: AnyFamily, part: Literal["tuning", "held_out"], count: int) -> tuple[int, int, int, int]:
    """Return (lines, lines judged rightly, solutions, solutions whose first error is named)."""
    source = family(levels=LEVELS, wording="free")
    lines_seen = lines_right = first_right = 0
    for i in range(count):
        draft, _ = source.draw(SEED, i)
        lines = free_solution(draft, rng_of(SEED, part, i), slip_share=0.6, repair_share=0.4, part=part)
        classes = judge(source.item(SEED, i), tuple(Step(text=line.text) for line in lines))
        found, true = [c in ("wrong", "repaired") for c in classes], [not line.right for line in lines]
        lines_seen, lines_right = lines_seen + len(lines), lines_right + sum(map(bool.__eq__, found, true))
        first_right += _first(found) == _first(true)
    return lines_seen, lines_right, count, first_right


def _first(flags: Sequence[bool]) -> int | None:
    return next((i for i, flag in enumerate(flags) if flag), None)


def shared_beginnings(family: AnyFamily, count: int) -> tuple[int, int, int]:
    """Return (pairs of right siblings, those that share the first step, those that share the first four)."""
    pairs = first = four = 0
    for i in range(count):
        draft, _ = family(levels=LEVELS).draw(SEED, i)
        siblings = [
            [line.text for line in free_solution(draft, rng_of("sibling", i, j), slip_share=0, repair_share=0)]
            for j in range(SIBLINGS)
        ]
        for a, b in combinations(siblings, 2):
            pairs, first, four = pairs + 1, first + (a[0] == b[0]), four + (a[:4] == b[:4])
    return pairs, first, four


def main(problems: int = 200) -> None:
    """``problems``: problems a family."""
    for part in ("tuning", "held_out"):
        rows = [oracle_counts(family, part, problems) for family in ALL_FAMILIES]
        lines, right, solutions, first = (sum(column) for column in zip(*rows, strict=True))
        print(f"{part}: {right} of {lines} lines ({right / lines:.2%}), first error {first} of {solutions} solutions")
    shared = [shared_beginnings(family, problems // 4) for family in ALL_FAMILIES]
    pairs, first, four = (sum(column) for column in zip(*shared, strict=True))
    print(f"right siblings: first step shared in {first} of {pairs} pairs ({first / pairs:.2%}), first four in {four}")


if __name__ == "__main__":
    typer.run(main)
