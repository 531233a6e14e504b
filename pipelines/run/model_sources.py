"""Shards of a source that uses a model: every attempt of the shard at once, on an engine."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.generators.written import Attempt, ModelSource, Refused
from stepforge.generators.written.source import Seeds
from stepforge.pipelines.inputs.problem_files import open_once
from stepforge.pipelines.run.stages import attempt_all
from stepforge.pipelines.run_folder.plan import ShardPlan, drawn_rows
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Cost, Failure, Rejected
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


def readable_rows(run: RunFile, shard: ShardPlan) -> Iterator[tuple[int, SourceItem]]:
    """Yield the problems of a shard with their rows; a model's do not exist yet: their seeds represent them."""
    part = model_source(run, shard)
    if part is None:
        numbered = enumerate(drawn_rows(run, shard), shard.start)
        yield from ((row, item) for row, item in numbered if isinstance(item, SourceItem))
        return
    for row in range(shard.start, shard.stop):
        if (seed := _seed(part, run.seed, row)) is not None:
            yield row, SourceItem(problem=seed.problem)


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
    """Return the seed of an attempt; None if it cannot be read."""
    if not isinstance(part.seeds, ProblemSet):
        return SourceItem(problem=part.seeds.item(seed, row))
    source = open_once(part.seeds)
    at = row % len(source)
    found = next(iter(source.rows(at, at + 1)))
    return None if isinstance(found, Rejected) else found


def _partner(part: ModelSource, seed: int, row: int, first: SourceItem) -> SourceItem | None:
    """Return another seed of the same group that asks something else: another group may be in the other split."""
    own = first.problem
    for other in (*range(row + 1, row + LOOKED_THROUGH + 1), *range(row - 1, max(-1, row - LOOKED_THROUGH - 1), -1)):
        found = _seed(part, seed, other)
        if found is not None and found.problem.group == own.group and found.problem.question != own.question:
            return found
    return None
