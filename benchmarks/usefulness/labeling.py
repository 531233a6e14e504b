"""Labels of a pool by every labeler, from one recording, each charged for what it took; no labeler sees the truth."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.usefulness.kept import Opening, keep_under
from benchmarks.usefulness.recording import Reader, Recording
from stepforge.labelers import Consensus, PooledLabeler
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.storage.layout import shard_name
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import Cost, LabeledProblem, LabeledSolution, LabelerCost, Verdict
from stepforge.schemas.protocols import Grader
from stepforge.schemas.rollout import SolvedProblem
from stepforge.schemas.seeds import seed_of

WAVE = 96
"""Problems that are labeled side by side, so that the engine is full."""


class Labeled:
    """One labeler's labels, made on demand and kept on disk."""

    def __init__(
        self, name: str, part: Any, recording: Recording, opening: Opening, grader: Grader, folder: Path
    ) -> None:
        self.name = name
        self.part = part
        """A labeler: a record, and a ``labelers.Labeler``."""
        self._recording = recording
        self._opening = opening
        self._grader = grader
        self._folder = folder / name
        self._parts = sorted(self._folder.glob("part-*.parquet"))
        self._known = {row.problem.id: row for path in self._parts for row in read_shard(path, LabeledProblem)}

    async def of(self, rows: Sequence[SolvedProblem]) -> list[LabeledProblem]:
        """Return the labels of these problems.

        Raises:
            BadInput: the folder holds other labels, or the engine cannot be started.
        """
        keep_under(self._folder, self.part, *self._opening.settings())
        for start in range(0, len(rows), WAVE):
            await self._wave(rows[start : start + WAVE])
        return [_with_truth(self._known[row.problem.id], row) for row in rows]

    async def _wave(self, rows: Sequence[SolvedProblem]) -> None:
        missing = [row for row in rows if row.problem.id not in self._known]
        if not missing:
            return
        policy = self._recording.policy = await self._opening.policy()
        seed = seed_of(self._recording.seed, "label")
        labeling = (self.part(_blind(row), Reader(self._recording, policy), self._grader, seed=seed) for row in missing)
        done = await asyncio.gather(*labeling)
        self._recording.save()
        path = self._folder / shard_name(len(self._parts))
        write_shard(path, done, LabeledProblem, {})
        self._parts.append(path)
        self._known |= {row.problem.id: row for row in done}


def pooled(part: PooledLabeler, pilot: Sequence[LabeledProblem], path: Path) -> PooledLabeler:
    """Return the part under rates pooled from a pilot that was labeled under its own; no truth is used.

    The rates are kept in ``path``.
    """
    if not path.exists():
        blind = [row.model_copy(update={"problem": row.problem.model_copy(update={"truth": None})}) for row in pilot]
        write_text(path, json.dumps(part.fitted_rates(blind).model_dump(), indent=1) + "\n")
    return part.with_rates(type(part.rates).model_validate_json(path.read_text(encoding="utf-8")))


def by_oracle(rows: Sequence[SolvedProblem]) -> list[LabeledProblem]:
    """Return labels that follow from the truth, for nothing."""
    return [_labeled(row, [oracle_verdict(row.problem, rollout) for rollout in row.rollouts], Cost()) for row in rows]


def by_agreement(first: Sequence[LabeledProblem], second: Sequence[LabeledProblem]) -> list[LabeledProblem]:
    """Return what two labelers agree on, at the cost of both."""
    found = []
    for a, b in zip(first, second, strict=True):
        pairs = zip(a.solutions, b.solutions, strict=True)
        verdicts = [Consensus().combine([x.verdict, y.verdict]) for x, y in pairs]
        solved = SolvedProblem(problem=a.problem, rollouts=tuple(s.rollout for s in a.solutions), policy=a.policy)
        found.append(_labeled(solved, verdicts, a.costs[0].cost + b.costs[0].cost))
    return found


def affordable(rows: Sequence[LabeledProblem], budget: float, overhead: float) -> list[LabeledProblem]:
    """Return as many labeled problems, in order, as a budget in tokens pays for: labels and ``overhead`` for each."""
    spent, found = 0.0, []
    for row in rows:
        spent += labeling_tokens(row) + overhead
        if spent > budget:
            break
        found.append(row)
    return found


def labeling_tokens(row: LabeledProblem) -> float:
    """Return the tokens that were generated to label a problem."""
    return float(sum(entry.cost.generated_tokens for entry in row.costs))


def _labeled(row: SolvedProblem, verdicts: Sequence[Verdict], cost: Cost) -> LabeledProblem:
    solutions = tuple(
        LabeledSolution(rollout=rollout, labels=(None,) * len(rollout.steps), verdict=verdict)
        for rollout, verdict in zip(row.rollouts, verdicts, strict=True)
    )
    costs = (LabelerCost(labeler=solutions[0].verdict.labeler, cost=cost),) if solutions else ()
    return LabeledProblem(problem=row.problem, solutions=solutions, evidence=(), policy=row.policy, costs=costs)


def _blind(row: SolvedProblem) -> SolvedProblem:
    return row.model_copy(update={"problem": row.problem.model_copy(update={"truth": None})})


def _with_truth(labeled: LabeledProblem, row: SolvedProblem) -> LabeledProblem:
    return labeled.model_copy(update={"problem": row.problem})
