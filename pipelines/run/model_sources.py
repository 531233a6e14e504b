"""The seeds of a source that uses a model, and the problems of a shard as far as they exist."""

from collections.abc import Iterator
from functools import partial

from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.generators.written import ModelSource
from stepforge.generators.written.source import Seeds
from stepforge.pipelines.inputs.problem_files import open_once
from stepforge.pipelines.run_folder.plan import ShardPlan, drawn_rows
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Rejected

LOOKED_THROUGH = 64
"""Seeds after the first, and then before it, that are searched for one of its group."""


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


def seeds_of(part: ModelSource, seed: int, row: int) -> Seeds | None:
    """Return what an attempt begins from; None if its seed cannot be read."""
    first = _seed(part, seed, row)
    return None if first is None else Seeds(first, partial(_partner, part, seed, row, first))


def _seed(part: ModelSource, seed: int, row: int) -> SourceItem | None:
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
