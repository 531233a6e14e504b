"""Why problems of a run did not become rows: those that could not be finished, and those that a filter dropped."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import read_columns
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.record import Record


class Loss(Record):
    """Where a problem was lost, and why."""

    how: Literal["failed", "rejected"]
    stage: ShardStage
    why: str
    """The filter and its reason, or the error and its message."""

    def __str__(self) -> str:
        return f"{self.how} in {self.stage}: {self.why}"


def lost_problems(layout: Layout) -> dict[str, Loss]:
    """Return the loss of each problem that did not go through all stages so far, by its id."""
    return dict(loss for stage in SHARD_STAGES for loss in (*_rejected(layout, stage), *_failed(layout, stage)))


def _rejected(layout: Layout, stage: ShardStage) -> Iterator[tuple[str, Loss]]:
    for path in _files(layout, "rejected", stage):
        columns = read_columns(path, ["problem_id", "filter", "reason"])
        for name, part, reason in zip(*columns.values(), strict=True):
            yield name, Loss(how="rejected", stage=stage, why=f"{part}: {reason}")


def _failed(layout: Layout, stage: ShardStage) -> Iterator[tuple[str, Loss]]:
    for path in _files(layout, "failures", stage):
        columns = read_columns(path, ["problem_id", "error", "message"])
        for name, error, message in zip(*columns.values(), strict=True):
            yield name, Loss(how="failed", stage=stage, why=f"{error}: {message}")


def _files(layout: Layout, folder: str, stage: ShardStage) -> list[AnyPath]:
    found: list[AnyPath] = list((layout.folder / folder / stage).glob("part-[0-9]*.parquet"))
    return sorted(found, key=lambda path: path.name)
