"""The problems of a run as the viewer knows them: filled shard by shard in the background, and kept up to date."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stepforge.pipelines.run_folder.row_index import COLUMNS, ROW_STAGES, Names, ShardRows, read_shard_rows
from stepforge.pipelines.storage.layout import FOLDERS, Layout, ShardStage, shard_index
from stepforge.pipelines.storage.shards import UNREADABLE
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed

LOOK_SECONDS = 2.0
"""Seconds between checks of a local folder; a store is checked ten times less often."""
Flags = npt.NDArray[np.bool_]


class Address(NamedTuple):
    """The location of a problem's row."""

    stage: ShardStage
    shard: int
    row: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.shard}/{self.row}"


class Catalog:
    """The data for all lists. ``changed`` is incremented with every shard read."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.domains, self.labelers = Names(), Names()
        self.changed = 0
        self.damaged: dict[str, str] = {}
        """What could not be read, by the name of its shard."""
        self._stamps: dict[int, object] = {}
        self._rows: dict[int, ShardRows] = {}
        self._joined: tuple[int, dict[str, npt.NDArray[Any]]] | None = None
        self._waiting = 1
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="catalog")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop the thread: Arrow aborts a process that exits while one of its threads reads."""
        self._ended.set()
        self._thread.join()

    @property
    def reading(self) -> bool:
        return self._waiting > 0

    @property
    def shards(self) -> tuple[int, int]:
        return len(self._rows), self._waiting

    def wait(self, enough: Callable[[], bool], seconds: float) -> None:
        with self._news:
            self._news.wait_for(lambda: not self._waiting or enough(), timeout=seconds)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return an array for each of ``COLUMNS`` and ``shard``, over all problems read so far, in order of shards."""
        with self._news:
            if self._joined is None or self._joined[0] != self.changed:
                rows = [self._rows[shard] for shard in sorted(self._rows)]
                joined: dict[str, npt.NDArray[Any]] = {
                    name: np.concatenate([np.zeros(0, kind), *(r.columns[name] for r in rows)])
                    for name, kind in COLUMNS.items()
                }
                joined["shard"] = np.repeat([r.shard for r in rows], [len(r) for r in rows]).astype(np.int32)
                self._joined = self.changed, joined
            return self._joined[1]

    def address(self, place: int) -> Address:
        known = self.columns()
        return Address(ROW_STAGES[known["stage"][place]], int(known["shard"][place]), int(known["row"][place]))

    def refresh(self) -> None:
        stamps = _stamps(self.layout)
        new = [shard for shard, stamp in sorted(stamps.items()) if self._stamps.get(shard) != stamp]
        for left, shard in zip(range(len(new), 0, -1), new, strict=True):
            with self._news:
                self._waiting = left
            if self._ended.is_set():
                return
            self._read(shard, stamps[shard])
        with self._news:
            gone = [shard for shard in self._rows if shard not in stamps]
            for shard in gone:
                del self._rows[shard], self._stamps[shard]
            self.changed += bool(gone)
            self._waiting = 0
            self._news.notify_all()

    def _read(self, shard: int, stamp: object) -> None:
        try:
            rows = read_shard_rows(self.layout, shard, self.domains, self.labelers)
        except (RunFailed, StopIteration, *UNREADABLE) as error:
            self.damaged[f"shard {shard}"] = str(error) or "it is gone"
            rows = ShardRows(shard, {name: np.zeros(0, kind) for name, kind in COLUMNS.items()})
        with self._news:
            self._rows[shard] = rows
            self._stamps[shard] = stamp
            self.changed += 1
            self._news.notify_all()

    def _follow(self) -> None:
        pause = LOOK_SECONDS if isinstance(self.layout.folder, Path) else 10 * LOOK_SECONDS
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                self.refresh()
                self.damaged.pop("the folder", None)
            except (RunFailed, OSError) as error:
                self.damaged["the folder"] = str(error)
            self._ended.wait(max(pause, 2 * (time.monotonic() - began)))  # do not list a large folder all the time


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
