"""The arms of the comparison: which problems each labeler could label for the same size or the same cost."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.usefulness.labeling import affordable, labeling_tokens
from benchmarks.usefulness.prm_rows import PrmRow, Targets, prm_rows
from benchmarks.usefulness.settings import UsefulnessFile
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.seeds import rng_of

ORACLE = "oracle"
CONSENSUS = "consensus"
OUTCOMES: dict[str, Targets] = {
    "outcome only, every step": "outcome_every_step",
    "outcome only, last step": "outcome_last_step",
}
SAME_SIZE = "same solutions"
WHOLE_POOL = "whole pool"
TOTAL_COST = "same cost, sampling counted"


class Arm(NamedTuple):
    """Rows of one labeler under one condition and one seed, and what they cost."""

    condition: str
    labels: str
    seed: int
    rows: list[PrmRow]
    problems: int
    labeling_tokens: float
    sampling_tokens: float
    exhausted: bool
    """Whether the budget would have paid for more than there was to label."""


Labels = Mapping[str, Sequence[LabeledProblem]]
"""By name, labels of the pool's problems in the pool's order; some labelers label its first part alone."""


def arms(settings: UsefulnessFile, labels: Labels, sampling: float) -> list[Arm]:
    reference = labels[settings.reference]
    spent = sum(labeling_tokens(row) for row in reference)
    total = spent + sampling * len(reference)
    found: list[Arm] = []
    for seed in settings.seeds:
        maker = _Maker(settings, labels, sampling, seed)
        found += maker.same_size() + maker.whole_pool() + maker.bought(TOTAL_COST, total, sampling)
        for budget in (spent, *settings.budgets):
            found += maker.bought(labeling_cost(budget), budget, 0.0)
    return found


def labeling_cost(budget: float) -> str:
    """Return the name of the condition in which each labeler may spend so many tokens on labels."""
    return f"same labeling cost, {budget:.0f} tokens"


class _Maker(NamedTuple):
    settings: UsefulnessFile
    labels: Labels
    sampling: float
    seed: int

    def same_size(self) -> list[Arm]:
        count = self.settings.equal_problems
        return [self._arm(SAME_SIZE, name, rows[:count], exhausted=False) for name, rows in self._named()]

    def whole_pool(self) -> list[Arm]:
        whole = len(self.labels[ORACLE])
        return [self._arm(WHOLE_POOL, name, rows, exhausted=True) for name, rows in self._named() if len(rows) == whole]

    def bought(self, condition: str, budget: float, overhead: float) -> list[Arm]:
        found = []
        for name, rows in self._named():
            ordered = self._ordered(rows)
            kept = affordable(ordered, budget, overhead)
            found.append(self._arm(condition, name, kept, exhausted=len(kept) == len(ordered)))
        return found

    def _named(self) -> list[tuple[str, Sequence[LabeledProblem]]]:
        return [*((name, self.labels[ORACLE]) for name in OUTCOMES), *self.labels.items()]

    def _ordered(self, rows: Sequence[LabeledProblem]) -> list[LabeledProblem]:
        """Shuffle; what every labeler labeled comes first, so that all buy the same problems."""
        first, rest = list(rows[: self.settings.equal_problems]), list(rows[self.settings.equal_problems :])
        rng = rng_of(self.settings.seed, "order", self.seed)
        rng.shuffle(first)
        rng.shuffle(rest)
        return [*first, *rest]

    def _arm(self, condition: str, name: str, rows: Sequence[LabeledProblem], *, exhausted: bool) -> Arm:
        return Arm(
            condition=condition,
            labels=name,
            seed=self.seed,
            rows=prm_rows(rows, OUTCOMES.get(name, "first_error")),
            problems=len(rows),
            labeling_tokens=sum(labeling_tokens(row) for row in rows),
            sampling_tokens=self.sampling * len(rows),
            exhausted=exhausted,
        )
