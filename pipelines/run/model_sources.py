"""Shards of a source in which a model takes part: every attempt of the shard at once, on an engine."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from stepforge.generators.families import AnyFamily
from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.generators.written import Attempt, ModelSource, Refused
from stepforge.generators.written.source import Seeds
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_once
from stepforge.pipelines.run.stages import attempt_all
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Cost, Failure, Rejected
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.record import Record

LOOKED_THROUGH = 64
"""Seeds after the first among which one of its group is looked for."""


class WrittenShard(NamedTuple):
    """What the attempts of a shard came to."""

    made: list[SourceItem]
    rejected: list[Rejected]
    failures: list[Failure]
    cost: Cost


class _Row(Record):
    """An attempt by number."""

    row: int


class _Done(Record):
    """An attempt that was made, with its number."""

    row: int
    item: SourceItem | None
    reason: str = ""
    text: str = ""
    cost: Cost


def model_source(run: RunFile, shard: ShardPlan) -> ModelSource | None:
    """Return the source of a shard, if a model takes part in it."""
    part = run.generate[shard.source] if shard.source >= 0 else None
    return part if isinstance(part, ModelSource) else None


def seed_problems(run: RunFile, shard: ShardPlan) -> list[Problem]:
    part = model_source(run, shard)
    if part is None:
        return []
    seeds = [_seed(part, run.seed, row) for row in range(shard.start, shard.stop)]
    return [seed.problem for seed in seeds if seed is not None]


async def write_problems(
    run: RunFile, shard: ShardPlan, part: ModelSource, policy: PromptedPolicy, grader: Grader
) -> WrittenShard:
    async def work(attempt: _Row) -> _Done:
        seed = await asyncio.to_thread(_seed, part, run.seed, attempt.row)
        if seed is None:
            return _Done(row=attempt.row, item=None, reason="a bad seed", cost=Cost())
        partner = partial(_partner, part, run.seed, attempt.row, seed)
        done: Attempt = await part.make(attempt.row, Seeds(seed, partner), policy, grader, seed=run.seed)
        if isinstance(done.made, Refused):
            return _Done(row=attempt.row, item=None, reason=done.made.reason, text=done.made.text, cost=done.cost)
        return _Done(row=attempt.row, item=done.made, cost=done.cost)

    rows = [_Row(row=row) for row in range(shard.start, shard.stop)]
    done, failures = await attempt_all(rows, work, "generate", lambda attempt: f"{part.name}:{attempt.row}")
    made = [attempt.item for attempt in done if attempt.item is not None]
    rejected = [
        Rejected(
            problem_id=f"{part.name}:{attempt.row}",
            filter=part.kind,
            reason=attempt.reason,
            row=json.dumps({"text": attempt.text}, ensure_ascii=False),
        )
        for attempt in done
        if attempt.item is None
    ]
    return WrittenShard(made, rejected, failures, sum((attempt.cost for attempt in done), Cost()))


def _seed(part: ModelSource, seed: int, row: int) -> SourceItem | None:
    found = _seeds(part.seeds, seed)(row)
    return None if isinstance(found, Rejected) else found


def _partner(part: ModelSource, seed: int, row: int, first: SourceItem) -> SourceItem | None:
    """Return the next seed of the same group that asks something else: problems of two groups may be in two splits."""
    read = _seeds(part.seeds, seed)
    for further in range(1, LOOKED_THROUGH + 1):
        found = read(row + further)
        if not isinstance(found, SourceItem) or found.problem.group != first.problem.group:
            continue
        if found.problem.question != first.problem.question:
            return found
    return None


def _seeds(seeds: AnyFamily | ProblemSet, seed: int) -> Callable[[int], SourceItem | Rejected]:
    if not isinstance(seeds, ProblemSet):
        return lambda row: SourceItem(problem=seeds.item(seed, row))
    source: ProblemSource = open_once(seeds)

    def read(row: int) -> SourceItem | Rejected:
        at = row % len(source)
        return next(iter(source.rows(at, at + 1)))

    return read
