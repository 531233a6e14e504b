"""The shard plan: which rows of which source make up each shard. Written once, and only ever added to."""

from itertools import accumulate
from random import Random

from generators.family import Family
from generators.problem_sets import ProblemSet
from pipelines.problem_files import open_problems
from pipelines.run_file import RunFile
from pipelines.sealed import read_sealed, write_sealed
from pipelines.store import AnyPath
from pipelines.version import content_digest
from schemas.problem import Problem
from schemas.record import Record
from schemas.seeds import rng_of

FAMILIES = -1
"""The source number of the mix of procedural families."""
PLAN_FILE = "plan.json"


class ShardPlan(Record):
    """Rows ``start`` to ``stop`` of one source."""

    index: int
    source: int
    """Position in the run file's ``generate`` list, or ``FAMILIES``."""
    start: int
    stop: int


def plan_shards(run: RunFile, folder: AnyPath) -> list[ShardPlan]:
    """Return the run's shards: those planned before, and new ones for what was added since.

    Raises:
        BadInput: a problem set cannot be read.
        RunFailed: the plan is damaged, or another run's.
    """
    digest = content_digest(run)
    planned = read_plan(folder, digest)
    for source, total in _totals(run).items():
        start = max((shard.stop for shard in planned if shard.source == source), default=0)
        for first in range(start, total, run.rows_per_shard):
            stop = min(first + run.rows_per_shard, total)
            planned.append(ShardPlan(index=len(planned), source=source, start=first, stop=stop))
    write_sealed(folder / PLAN_FILE, {"run": digest, "shards": [shard.model_dump() for shard in planned]})
    return planned


def read_plan(folder: AnyPath, run: str | None = None) -> list[ShardPlan]:
    """Return the shards that a folder's plan holds, none where there is no plan; ``run`` is whose it must be.

    Raises:
        RunFailed: the plan is damaged, or another run's.
    """
    path = folder / PLAN_FILE
    if not path.exists():
        return []
    return [ShardPlan.model_validate(row) for row in read_sealed(path, run)["shards"]]


def _totals(run: RunFile) -> dict[int, int]:
    totals = {FAMILIES: run.problems} if families(run) else {}
    for position, part in enumerate(run.generate):
        if isinstance(part, ProblemSet):
            totals[position] = len(open_problems(part))
    return totals


def families(run: RunFile) -> list[Family]:
    """Return the procedural families of a run."""
    return [part for part in run.generate if isinstance(part, Family)]


def family_item(run: RunFile, index: int) -> Problem:
    """Return problem ``index`` of the mix: the family by weight, the item by its own number."""
    parts = families(run)
    rng: Random = rng_of(run.seed, "mix", index)
    point = rng.random() * sum(part.weight for part in parts)
    bounds = accumulate(part.weight for part in parts)
    chosen = next((part for part, bound in zip(parts, bounds, strict=True) if point < bound), parts[-1])
    return chosen.item(run.seed, index)
