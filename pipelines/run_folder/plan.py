"""The shard plan: which rows of which source make up each shard. Written once, then append-only."""

from collections.abc import Iterator
from itertools import accumulate
from random import Random

from pydantic import Field

from stepforge.generators.family import ProblemFamily
from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.generators.written import ModelSource
from stepforge.generators.written.source import FROM_FAMILY
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_once, open_problems
from stepforge.pipelines.inputs.tables import Print
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.checksummed import read_record, write_checksummed
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import rng_of

FAMILIES = -1
"""The source number of the mix of procedural families."""
PLAN_FILE = "plan.json"
FROM_FAMILIES = 100
"""Problems of the families if the run file gives no number."""


class ShardPlan(Record):
    """Rows ``start`` to ``stop`` of one source."""

    index: int
    source: int
    """Position in the run file's ``generate`` list, or ``FAMILIES``."""
    start: int
    stop: int


class _PlanFile(Record):
    """``plan.json``."""

    run: str = ""
    """Digest of the settings that the folder is bound to."""
    sets: dict[int, tuple[Print, ...]] = Field(default_factory=dict)
    """The files of each problem set as they were, by its position."""
    shards: tuple[ShardPlan, ...] = ()


def plan_shards(run: RunFile, folder: AnyPath) -> list[ShardPlan]:
    digest = content_digest(run)
    before = _read(folder, digest)
    planned = list(before.shards)
    sets = {i: open_problems(part) for i, part in enumerate(run.generate) if isinstance(part, ProblemSet)}
    for source, total in _totals(run, sets).items():
        start = max((shard.stop for shard in planned if shard.source == source), default=0)
        for first in range(start, total, run.rows_per_shard):
            stop = min(first + run.rows_per_shard, total)
            planned.append(ShardPlan(index=len(planned), source=source, start=first, stop=stop))
    for i, opened in sets.items():
        if (earlier := before.sets.get(i)) and not opened.goes_on_from(earlier):
            raise BadInput(
                f"{opened.part.path or opened.part.hub}: has changed since the run began, and not only by problems "
                "added at its end; restore it, or give another --out"
            )
    prints = {i: tuple(opened.prints()) for i, opened in sets.items()}
    write_checksummed(folder / PLAN_FILE, _PlanFile(run=digest, sets=prints, shards=tuple(planned)).model_dump())
    return planned


def _totals(run: RunFile, sets: dict[int, ProblemSource]) -> dict[int, int]:
    from_families = FROM_FAMILIES if run.problems is None else run.problems
    from_sets = {i: min(len(opened), run.problems or len(opened)) for i, opened in sets.items()}
    written = {i: _attempts(run, part) for i, part in enumerate(run.generate) if isinstance(part, ModelSource)}
    return ({FAMILIES: from_families} if families(run) else {}) | from_sets | written


def _attempts(run: RunFile, part: ModelSource) -> int:
    seeds = len(open_once(part.seeds)) if isinstance(part.seeds, ProblemSet) else FROM_FAMILY
    if not seeds:
        return 0
    attempts = part.attempts or seeds
    return min(attempts, run.problems) if run.problems else attempts


def read_plan(folder: AnyPath, run: str | None = None) -> list[ShardPlan]:
    """Return the shards in a folder's plan, none if there is no plan; it must belong to ``run``."""
    return list(_read(folder, run).shards)


def _read(folder: AnyPath, run: str | None) -> _PlanFile:
    path = folder / PLAN_FILE
    return read_record(path, _PlanFile, "a plan", run) if path.exists() else _PlanFile()


def families(run: RunFile) -> list[ProblemFamily]:
    return [part for part in run.generate if isinstance(part, ProblemFamily)]


def drawn_rows(run: RunFile, shard: ShardPlan) -> Iterator[SourceItem | Rejected]:
    if shard.source == FAMILIES:
        for index in range(shard.start, shard.stop):
            yield SourceItem(problem=family_item(run, index))
        return
    part = run.generate[shard.source]
    if not isinstance(part, ProblemSet):
        raise TypeError(f"source {shard.source} is not a problem set")
    yield from open_once(part).rows(shard.start, shard.stop)


def family_item(run: RunFile, index: int) -> Problem:
    """Return problem ``index`` of the mix: the family by weight, the item by its own number."""
    parts = families(run)
    rng: Random = rng_of(run.seed, "mix", index)
    point = rng.random() * sum(part.weight for part in parts)
    bounds = accumulate(part.weight for part in parts)
    chosen = next((part for part, bound in zip(parts, bounds, strict=True) if point < bound), parts[-1])
    return chosen.item(run.seed, index)
