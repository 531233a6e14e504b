"""Why problems of a run did not become rows: those that could not be finished, and those that a filter dropped."""

from typing import Literal

from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import read_columns
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.record import Record

How = Literal["failed", "rejected"]
_PLACES: tuple[tuple[How, str, tuple[str, str]], ...] = (
    ("rejected", "rejected", ("filter", "reason")),
    ("failed", "failures", ("error", "message")),
)


class Loss(Record):
    """Where a problem was lost, and why."""

    how: How
    stage: ShardStage
    why: str
    """The filter and its reason, or the error and its message."""

    def __str__(self) -> str:
        return f"{self.how} in {self.stage}: {self.why}"


def lost_problems(layout: Layout, shard: int | None = None) -> dict[str, Loss]:
    """Return the loss of each problem that did not go through all stages so far, by its id; of one shard, or of all.

    Raises:
        RunFailed: a shard is damaged.
    """
    lost: dict[str, Loss] = {}
    names = "part-[0-9]*.parquet" if shard is None else layout.shard("label", shard).name
    for stage in SHARD_STAGES:
        for how, folder, columns in _PLACES:
            files: list[AnyPath] = list((layout.folder / folder / stage).glob(names))
            for path in sorted(files, key=lambda path: path.name):
                rows = zip(*read_columns(path, ["problem_id", *columns]).values(), strict=True)
                lost |= {name: Loss(how=how, stage=stage, why=f"{part}: {why}") for name, part, why in rows}
    return lost
