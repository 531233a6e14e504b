"""What each session of a run took in time: the one thing that differs each time, and so is kept out of the shards."""

import time
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.record import Record

WRITE_SECONDS = 30.0
ADDED = ("shards", "seconds", "engine_seconds", "replayed")
"""Per stage: shards committed, their wall clock together (shards overlap), the engines' time, and completions found in
the journal. Beside them stand ``first`` and ``last``: when the stage began and ended, in seconds of the session."""


class Session:
    """Time spent since one driver began, by stage, kept in ``sessions/<name>.json``."""

    def __init__(self, layout: Layout, name: str, pending: int) -> None:
        self._path: AnyPath = layout.folder / "sessions" / f"{name}.json"
        self._began, self._clock = time.time(), time.monotonic()
        self._pending = pending
        self._stages: dict[str, dict[str, float]] = {}
        self._written = self._clock

    def note(self, stage: ShardStage, seconds: float, engine_seconds: float, replayed: int) -> None:
        """Add what a shard that was committed just now took; see ``ADDED``."""
        ends = time.monotonic() - self._clock
        total = self._stages.setdefault(stage, dict.fromkeys(ADDED, 0) | {"first": ends - seconds, "last": ends})
        for name, value in zip(ADDED, (1, seconds, engine_seconds, replayed), strict=True):
            total[name] = round(total[name] + value, 6)
        total["first"], total["last"] = round(min(total["first"], ends - seconds), 3), round(ends, 3)

    def write(self, *, now: bool = True) -> None:
        """Keep what is known; unless ``now``, only if that was long ago."""
        if now or time.monotonic() - self._written > WRITE_SECONDS:
            self._written = time.monotonic()
            write_checksummed(self._path, self.figures())

    def figures(self) -> dict[str, Any]:
        """Return when it began (Unix time), its seconds so far, the shards that were missing, and time by stage."""
        return {
            "began": int(self._began),
            "seconds": round(time.monotonic() - self._clock, 1),
            "pending_shards": self._pending,
            "stages": self._stages,
        }


def past_sessions(layout: Layout) -> list[dict[str, Any]]:
    """Return the sessions of a run that did something, in order.

    Raises:
        RunFailed: the file of one is damaged.
    """
    found = [_figures(path) for path in (layout.folder / "sessions").glob("*.json")]
    return sorted(found, key=lambda session: (session["began"], session["seconds"]))


def _figures(path: AnyPath) -> dict[str, Any]:
    try:
        return _Figures.model_validate(read_checksummed(path)).model_dump()
    except ValidationError:
        raise RunFailed(f"{path}: not a session of this version; delete it and run again") from None


class _Figures(Record):
    """What ``Session.figures`` returns, as it is read back."""

    began: int
    seconds: Annotated[float, Field(ge=0)]
    pending_shards: int
    stages: dict[ShardStage, dict[Literal["shards", "seconds", "engine_seconds", "replayed", "first", "last"], float]]


def stage_times(sessions: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return time by stage over all sessions."""
    totals: dict[str, dict[str, float]] = {}
    for session in sessions:
        for stage, times in session.get("stages", {}).items():
            total = totals.setdefault(stage, {})
            for name in ADDED:
                total[name] = round(total.get(name, 0) + times[name], 6)
    return totals
