"""The problems of a run as the viewer knows them: each request reads on for a moment, so an open list fills."""

import threading
import time
from collections.abc import Callable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from stepforge.pipelines.run_folder.row_index import EMPTY, read_shard_rows
from stepforge.pipelines.run_folder.rows import ROW_STAGES
from stepforge.pipelines.storage.layout import FOLDERS, Layout, ShardStage, shard_index
from stepforge.pipelines.storage.shards import UNREADABLE
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed

LOOK_SECONDS = 2.0
"""Seconds between checks of a local folder; a store is checked ten times less often."""


class Address(NamedTuple):
    stage: ShardStage
    shard: int
    row: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.shard}/{self.row}"


def address_of(row: Mapping[str, Any]) -> Address:
    return Address(*(row[name] for name in Address._fields))


class Catalog:
    """The data for all lists. ``changed`` is incremented with every shard read."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.changed = 0
        self.damaged: dict[str, str] = {}
        """What could not be read, by the name of its shard."""
        self.waiting: dict[int, object] = {}
        """Shards to be read, with their stamps."""
        self.next_look = 0.0
        """When the folder is listed again, on the monotonic clock."""
        self._stamps: dict[int, object] = {}
        self._rows: dict[int, pl.DataFrame] = {}
        self._joined: tuple[int, pl.DataFrame] | None = None
        self._reading = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, list(self._rows.values())))

    @property
    def shards(self) -> tuple[int, int]:
        return len(self._rows), len(self.waiting)

    @property
    def complete(self) -> bool:
        """Whether everything that the last look found is read; not before the first look."""
        return self.next_look > 0 and not self.waiting

    def rows(self) -> pl.DataFrame:
        """Return all problems read so far, in order of shards, with the columns of ``row_index``."""
        changed, joined = self.changed, self._joined
        if joined is None or joined[0] != changed:
            parts = [EMPTY, *(rows for _, rows in sorted(dict(self._rows).items(), key=itemgetter(0)))]
            self._joined = joined = changed, pl.concat(parts)
        return joined[1]

    def refresh(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Read new shards until there is ``enough``, or time is over; two requests at once do not read the same."""
        deadline = time.monotonic() + seconds
        if not self._reading.acquire(timeout=seconds):
            return
        try:
            self._look()
            while self.waiting and not enough() and time.monotonic() < deadline:
                shard = next(iter(self.waiting))
                self._read(shard, self.waiting[shard])
                del self.waiting[shard]
        finally:
            self._reading.release()

    def _look(self) -> None:
        """List the folder, if that was not done just now."""
        began = time.monotonic()
        if began < self.next_look:
            return
        try:
            stamps = _stamps(self.layout)
        except (RunFailed, OSError) as error:
            self.damaged["the folder"] = str(error)
        else:
            self.damaged.pop("the folder", None)
            self.waiting = {shard: stamp for shard, stamp in sorted(stamps.items()) if self._stamps.get(shard) != stamp}
            for shard in self._rows.keys() - stamps.keys():
                del self._rows[shard], self._stamps[shard]
                self.changed += 1
        now, pause = time.monotonic(), LOOK_SECONDS if isinstance(self.layout.folder, Path) else 10 * LOOK_SECONDS
        self.next_look = now + max(pause, 2 * (now - began))  # do not list a large folder all the time

    def _read(self, shard: int, stamp: object) -> None:
        try:
            rows = read_shard_rows(self.layout, shard)
        except (RunFailed, *UNREADABLE) as error:
            self.damaged[f"shard {shard}"] = str(error)
            rows = EMPTY
        self._rows[shard], self._stamps[shard] = rows, stamp
        self.changed += 1


def _stamps(layout: Layout) -> dict[int, object]:
    """Return a fingerprint of each shard's state: its files, with time and size on a disk."""
    found: dict[int, list[object]] = {}
    for stage in ROW_STAGES:
        for path in layout.shards(stage):
            found.setdefault(shard_index(path), []).append((FOLDERS[stage], _stamp(path)))
    for folder in ("rejected/vet", "rejected/curate", "failures/generate", "failures/solve", "failures/label"):
        for path in (layout.folder / folder).glob("part-[0-9]*.parquet"):
            if (shard := shard_index(path)) in found:
                found[shard].append((folder, _stamp(path)))
    return {shard: tuple(stamp) for shard, stamp in found.items()}


def _stamp(path: AnyPath) -> object:
    if not isinstance(path, Path):
        return path.name
    try:
        status = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size
