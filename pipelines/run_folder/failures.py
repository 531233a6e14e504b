"""Problems of a run that did not become rows: those that could not be finished (the same command retries some), and
those that a filter dropped."""

import re
from collections import Counter
from typing import Literal

from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage, shard_index
from stepforge.pipelines.storage.shards import read_columns, read_shard
from stepforge.pipelines.storage.store import listed
from stepforge.schemas.labeled import Failure
from stepforge.schemas.record import Record

TRIED_AGAIN = frozenset(
    {"EngineFailed", "BrokenProcessPool", "ConnectionError", "ConnectionResetError", "TimeoutError"}
)
"""Error classes that are not the row's fault."""
NAMED = 3
How = Literal["failed", "rejected"]
_PLACES: tuple[tuple[How, str, tuple[str, str]], ...] = (
    ("rejected", "rejected", ("filter", "reason")),
    ("failed", "failures", ("error", "message")),
)


def commonest_failures(layout: Layout) -> dict[ShardStage, dict[str, int]]:
    found = {stage: _messages(layout, stage) for stage in SHARD_STAGES}
    return {stage: messages for stage, messages in found.items() if messages}


def _messages(layout: Layout, stage: ShardStage) -> dict[str, int]:
    """Messages that differ only in their numbers count as one, represented by an example."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in listed(layout.folder / "failures" / stage, "*.parquet"):
        for failure in read_shard(path, Failure):
            message = f"{failure.error}: {failure.message}"
            key = re.sub("[0-9]+", "0", message)
            counts[key] += 1
            examples.setdefault(key, message)
    return {examples[key]: count for key, count in counts.most_common(NAMED)}


def take_back(layout: Layout, committed: dict[ShardStage, set[int]]) -> int:
    """Delete the shards in which rows failed for an outside reason, and return how many rows those are.

    They are redone; their other rows get the same answers again, because seeds determine them.
    """
    rows = 0
    for stage in SHARD_STAGES:
        for path in listed(layout.folder / "failures" / stage, "part-[0-9]*.parquet"):
            index = shard_index(path)
            failures = read_shard(path, Failure) if index in committed[stage] else []
            if again := sum(failure.error in TRIED_AGAIN for failure in failures):
                layout.shard(stage, index).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                committed[stage].discard(index)
                rows += again
    return rows


class Loss(Record):
    how: How
    stage: ShardStage
    why: str
    """The filter and its reason, or the error and its message."""

    def __str__(self) -> str:
        return f"{self.how} in {self.stage}: {self.why}"


def lost_problems(layout: Layout, shard: int | None = None) -> dict[str, Loss]:
    """Return the loss of each problem that did not go through all stages so far, by its id; of one shard, or of all.
    Raises RunFailed: a shard is damaged."""
    lost: dict[str, Loss] = {}
    names = "part-[0-9]*.parquet" if shard is None else layout.shard("label", shard).name
    for stage in SHARD_STAGES:
        for how, folder, columns in _PLACES:
            for path in listed(layout.folder / folder / stage, names):
                rows = zip(*read_columns(path, ["problem_id", *columns]).values(), strict=True)
                lost |= {name: Loss(how=how, stage=stage, why=f"{part}: {why}") for name, part, why in rows}
    return lost
