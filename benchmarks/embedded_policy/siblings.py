"""How often two solutions of one problem begin alike. A model that writes freely shares almost nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from stepforge.schemas.rollout import Rollout

DEPTHS = (1, 2, 4)
"""Numbers of steps compared."""
REAL_MODEL = (
    "Qwen2.5-Coder-0.5B on GSM8K: right pairs, first step 1 of 16; any pairs, first step 4 of 192, "
    "first 2 steps 0 of 192"
)
"""A real model's statistic, to compare with (16 problems, 4 solutions each)."""


class Siblings(NamedTuple):
    """Pairs of solutions of one problem, and how many of them share their first steps word for word."""

    pairs: int
    shared: dict[int, int]
    """Number of steps to pairs that share so many."""

    @property
    def text(self) -> str:
        """``first step 3 of 100, first 2 steps 0 of 100``."""
        names = {1: "first step"}
        parts = (f"{names.get(n, f'first {n} steps')} {self.shared.get(n, 0)} of {self.pairs}" for n in DEPTHS)
        return ", ".join(parts)


def siblings(problems: Iterable[Sequence[Rollout]]) -> Siblings:
    """Count the pairs within each problem; a solution shorter than the steps compared shares them with none."""
    pairs, shared = 0, Counter[int]()
    for rollouts in problems:
        for a, b in combinations(rollouts, 2):
            pairs += 1
            shared.update(n for n in DEPTHS if _begin(a, n) is not None and _begin(a, n) == _begin(b, n))
    return Siblings(pairs, dict(shared))


def right_and_any(problems: Sequence[Sequence[Rollout]]) -> dict[str, Siblings]:
    """Return the statistic of pairs of right solutions, and of any two."""
    known = [[r for r in rollouts if r.outcome != "undetermined"] for rollouts in problems]
    return {
        "right pairs": siblings([[r for r in rollouts if r.outcome == "correct"] for rollouts in known]),
        "any pairs": siblings(known),
    }


def _begin(rollout: Rollout, steps: int) -> str | None:
    return "".join(step.text for step in rollout.steps[:steps]) if len(rollout.steps) >= steps else None
