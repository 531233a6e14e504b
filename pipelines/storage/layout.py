"""The location of everything in a run, and how to tell what is done."""

from typing import Literal

from stepforge.pipelines.storage.store import AnyPath, listed
from stepforge.schemas.errors import RunFailed

ShardStage = Literal["generate", "solve", "vet", "label", "curate"]
SHARD_STAGES: tuple[ShardStage, ...] = ("generate", "solve", "vet", "label", "curate")
ENGINE_STAGES: tuple[ShardStage, ...] = ("solve", "label")
"""Those that run on a worker with an engine."""
FOLDERS: dict[ShardStage, str] = {
    "generate": "problems",
    "solve": "solved",
    "vet": "vetted",
    "label": "labeled",
    "curate": "curated",
}
"""The folder that each stage writes and the next stage reads."""
_WRITERS: dict[str, ShardStage] = {
    **{folder: stage for stage, folder in FOLDERS.items()},
    **{stage: stage for stage in SHARD_STAGES},  # rejected/<stage>, failures/<stage>
    "brought": "generate",
}


def shard_name(index: int) -> str:
    return f"part-{index:05d}.parquet"


def shard_index(path: AnyPath) -> int:
    number = path.name.removeprefix("part-").removesuffix(".parquet")
    if not (number.isascii() and number.isdigit()) or shard_name(int(number)) != path.name:
        raise RunFailed(f"{path}: not a shard of this run; move it away")
    return int(number)


def stage_of(path: AnyPath) -> ShardStage | None:
    return _WRITERS.get(path.parent.name)


class Layout:
    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder
        self.run_file = folder / "run.toml"
        self.rule = folder / "rule.json"
        """Only in a relabeled folder, two levels below the run that it was made from: the rule."""
        self.unsettled = folder / "unsettled"
        """Exists while a shard may have been redone but shards made from its old version may remain."""
        self.ledger = folder / "ledger.json"
        self.rates = folder / "rates.json"
        self.report = folder / "report.json"
        self.datasets = folder / "datasets"

    def shard(self, stage: ShardStage, index: int) -> AnyPath:
        """Return the file that a stage commits for a shard; the shard is done when it exists."""
        return self.folder / FOLDERS[stage] / shard_name(index)

    def committed(self) -> dict[ShardStage, set[int]]:
        """Return which shards every stage has committed: one listing per stage, since a store answers slowly."""
        return {stage: {shard_index(path) for path in self.shards(stage)} for stage in SHARD_STAGES}

    def source(self, stage: ShardStage, index: int) -> AnyPath:
        return self.shard(SHARD_STAGES[SHARD_STAGES.index(stage) - 1], index)

    def rejected(self, stage: ShardStage, index: int) -> AnyPath:
        return self.folder / "rejected" / stage / shard_name(index)

    def failures(self, stage: ShardStage, index: int) -> AnyPath:
        return self.folder / "failures" / stage / shard_name(index)

    def brought(self, index: int) -> AnyPath:
        return self.folder / "brought" / shard_name(index)

    def shards(self, stage: ShardStage) -> list[AnyPath]:
        return listed(self.folder / FOLDERS[stage], "part-[0-9]*.parquet")

    def completions(self, stage: ShardStage, index: int) -> AnyPath:
        """Return the file of the completions that a committed shard was made with."""
        return self.folder / "completions" / stage / shard_name(index)

    def journal(self, stage: ShardStage, index: int) -> AnyPath:
        """Return the folder of the completions that an unfinished shard has got so far."""
        return self.folder / "journal" / f"{stage}-{index:05d}"
