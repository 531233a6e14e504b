"""The pilot of a run: its first shards are labelled under given rates, the rest under rates pooled from them.

Which shards these are follows from the run file alone, and the pooled rates are committed like a shard, so that a run
gives the same labels however often it is stopped.
"""

import json
from collections.abc import Sequence

from labelers import ChangePoint
from labelers.pooling import Seen, pooled_rates, seen_in
from labelers.rates import Rates
from pipelines.layout import Layout
from pipelines.plan import ShardPlan
from pipelines.run_file import RunFile
from pipelines.shards import read_shard, write_text
from schemas.labeled import LabeledProblem


def change_point_of(run: RunFile) -> ChangePoint | None:
    """Return the run's labeler with rates, if it has one that is to pool them."""
    return next((part for part in run.label if isinstance(part, ChangePoint) and part.pilot), None)


def pilot_shards(run: RunFile, plan: Sequence[ShardPlan]) -> list[ShardPlan]:
    """Return the shards to label first; none where nothing is pooled or the whole run would be the pilot."""
    part = change_point_of(run)
    if part is None:
        return []
    count = 0
    shards: list[ShardPlan] = []
    for shard in plan:
        if count >= part.pilot:
            return shards
        shards.append(shard)
        count += shard.stop - shard.start
    return []


def rates_of_run(run: RunFile, layout: Layout, pilot: Sequence[ShardPlan]) -> Rates:
    """Return the pooled rates: as committed, or fitted to the pilot's evidence and committed."""
    part = change_point_of(run)
    if part is None:
        raise ValueError("the run has no labeler with rates")
    if layout.rates.exists():
        return Rates.model_validate_json(layout.rates.read_text())
    seen: list[Seen] = []
    for shard in pilot:
        for row in read_shard(layout.shard("label", shard.index), LabeledProblem):
            seen += seen_in(row)
    rates = pooled_rates(seen, part.rates, surprise=part.surprise)
    write_text(layout.rates, json.dumps(rates.model_dump(), indent=1) + "\n")
    return rates
