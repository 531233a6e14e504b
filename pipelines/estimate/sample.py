"""Which problems a pilot takes: a few of each source and difficulty, in their proportions."""

from collections.abc import Iterator, Sequence
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from stepforge.filters import Duplicates, question_key
from stepforge.generators.problem_sets import SourceItem
from stepforge.pipelines.run.model_sources import readable_rows
from stepforge.pipelines.run_folder.plan import ShardPlan, plan_shards
from stepforge.pipelines.run_folder.pooled_rates import shards_to_fit
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.seeds import rng_of, seed_of

LOOKED_AT = 20_000
"""Most problems of the run to draw from; a larger run is sampled by evenly spaced shards."""


class Sample(NamedTuple):
    items: list[SourceItem]
    duplicate_of: dict[str, str]
    """Id -> id of an earlier problem of the run that asks the same, among those looked at."""
    problems: int
    """Problems of the run: all of its rows that can be read."""
    pooling: int
    """The run's first problems, labeled with other rates; 0 if none are fitted."""
    strata: int
    """Pairs of source and difficulty."""
    whole: bool
    """Whether every problem of the run was examined."""


class _Seen(NamedTuple):
    stratum: tuple[str, int]
    place: int
    """A meaningless key, so neighbors in a stratum have nothing in common."""
    row: ShardPlan
    """The problem alone."""
    id: str
    copy_of: str | None


def draw(run: RunFile, count: int) -> Sample:
    """Return ``count`` problems of a run, or all if there are fewer; the same ones each time."""
    with TemporaryDirectory(prefix="stepforge-estimate-") as folder:
        plan = plan_shards(run, Path(folder))
    rows = _row_count(plan)
    looked_at = plan[:: max(1, -(-rows // LOOKED_AT))]
    seen = sorted(_look(run, looked_at))
    if not seen:
        raise BadInput("the run has no problems to draw a pilot from")
    chosen = _systematic(seen, count, seed_of(run.seed, "estimate"))
    copies = {s.id: s.copy_of for s in chosen if s.copy_of}
    return Sample(
        items=[item for s in chosen for _, item in readable_rows(run, s.row)],
        duplicate_of=copies if any(isinstance(part, Duplicates) for part in run.vet) else {},
        problems=round(rows * len(seen) / _row_count(looked_at)),
        pooling=_row_count(shards_to_fit(run, plan)),
        strata=len({s.stratum for s in seen}),
        whole=len(looked_at) == len(plan),
    )


def _row_count(shards: Sequence[ShardPlan]) -> int:
    return sum(shard.stop - shard.start for shard in shards)


def _look(run: RunFile, plan: Sequence[ShardPlan]) -> Iterator[_Seen]:
    first: dict[str, str] = {}
    for shard in plan:
        for position, item in readable_rows(run, shard):
            problem = item.problem
            owner = first.setdefault(question_key(problem.question), problem.id)
            stratum = (problem.source, -1 if problem.difficulty is None else problem.difficulty)
            copy_of = owner if owner != problem.id else None
            row = shard.model_copy(update={"start": position, "stop": position + 1})
            yield _Seen(stratum, seed_of("estimate", problem.id), row, problem.id, copy_of)


def _systematic(seen: Sequence[_Seen], count: int, seed: int) -> list[_Seen]:
    """Every n-th of an ordered list, from a random start: each stratum gets its share, within one."""
    step = len(seen) / min(count, len(seen))
    start = rng_of(seed).random() * step
    return [seen[min(floor(start + i * step), len(seen) - 1)] for i in range(min(count, len(seen)))]
