"""Shards of a source that uses a model: every attempt of the shard at once, on an engine."""

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

LOOKED_THROUGH = 64
"""Seeds after the first, and then before it, that are searched for one of its group."""


class WrittenShard(NamedTuple):
    made: list[SourceItem]
    rejected: list[Rejected]
    failures: list[Failure]
    cost: Cost


def model_source(run: RunFile, shard: ShardPlan) -> ModelSource | None:
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
    async def work(row: int) -> tuple[int, Attempt]:
        seed = await asyncio.to_thread(_seed, part, run.seed, row)
        if seed is None:
            return row, Attempt(Refused("a bad seed"))
        partner = partial(_partner, part, run.seed, row, seed)
        return row, await part.make(row, Seeds(seed, partner), policy, grader, seed=run.seed)

    rows = range(shard.start, shard.stop)
    done, failures = await attempt_all(rows, work, "generate", lambda row: f"{part.name}:{row}")
    written = WrittenShard([], [], failures, sum((attempt.cost for _, attempt in done), Cost()))
    for row, (made, _) in done:
        if isinstance(made, Refused):
            text = json.dumps({"text": made.text}, ensure_ascii=False)
            name = f"{part.name}:{row}"
            written.rejected.append(Rejected(problem_id=name, filter=part.kind, reason=made.reason, row=text))
        else:
            written.made.append(made)
    return written


def _seed(part: ModelSource, seed: int, row: int) -> SourceItem | None:
    found = _seeds(part.seeds, seed)(row)
    return None if isinstance(found, Rejected) else found


def _partner(part: ModelSource, seed: int, row: int, first: SourceItem) -> SourceItem | None:
    """Return another seed of the same group that asks something else: another group may be in the other split."""
    read = _seeds(part.seeds, seed)
    for other in (*range(row + 1, row + LOOKED_THROUGH + 1), *range(row - 1, max(-1, row - LOOKED_THROUGH - 1), -1)):
        found = read(other)
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
