"""Why problems of a run did not become rows: those that could not be finished, and those that a filter dropped."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import read_columns
from stepforge.pipelines.storage.store import listed
from stepforge.schemas.record import Record

How = Literal["failed", "rejected"]
REASONS: dict[How, tuple[str, tuple[str, str]]] = {
    "rejected": ("rejected", ("filter", "reason")),
    "failed": ("failures", ("error", "message")),
}
"""The folder of each kind of loss, and the columns that say why."""


class Loss(Record):
    """Where a problem was lost, and why."""

    how: How
    stage: ShardStage
    why: str
    """The filter and its reason, or the error and its message."""

    def __str__(self) -> str:
        return f"{self.how} in {self.stage}: {self.why}"


def lost_problems(layout: Layout) -> dict[str, Loss]:
    """Return the loss of each problem that did not go through all stages so far, by its id."""
    return dict(loss for stage in SHARD_STAGES for how in REASONS for loss in _lost(layout, how, stage))


def _lost(layout: Layout, how: How, stage: ShardStage) -> Iterator[tuple[str, Loss]]:
    folder, columns = REASONS[how]
    for path in listed(layout.folder / folder / stage, "part-[0-9]*.parquet"):
        for name, what, why in zip(*read_columns(path, ["problem_id", *columns]).values(), strict=True):
            yield name, Loss(how=how, stage=stage, why=f"{what}: {why}")
