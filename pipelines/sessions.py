"""What each session of a run took in time: the one thing that differs each time, and so is kept out of the shards."""

import json
import time
from typing import Any

from pipelines.layout import Layout, ShardStage
from pipelines.store import AnyPath, write_text

WRITE_SECONDS = 30.0


class Session:
    """Time spent since one driver began, by stage, kept in ``sessions/<name>.json``."""

    def __init__(self, layout: Layout, name: str, pending: int) -> None:
        self._path: AnyPath = layout.folder / "sessions" / f"{name}.json"
        self._began, self._clock = time.time(), time.monotonic()
        self._pending = pending
        self._stages: dict[str, dict[str, float]] = {}
        self._written = self._clock

    def note(self, stage: ShardStage, seconds: float, engine_seconds: float, replayed: int) -> None:
        """Add what a committed shard took: wall clock, engine time, and completions found in the journal."""
        total = self._stages.setdefault(stage, {"shards": 0, "seconds": 0.0, "engine_seconds": 0.0, "replayed": 0})
        for key, value in (
            ("shards", 1),
            ("seconds", seconds),
            ("engine_seconds", engine_seconds),
            ("replayed", replayed),
        ):
            total[key] = round(total[key] + value, 6)

    def write(self, *, now: bool = True) -> None:
        """Keep what is known; unless ``now``, only if that was long ago."""
        if now or time.monotonic() - self._written > WRITE_SECONDS:
            self._written = time.monotonic()
            write_text(self._path, json.dumps(self.figures()) + "\n")

    def figures(self) -> dict[str, Any]:
        """Return when it began (Unix time), its seconds so far, the shards that were missing, and time by stage."""
        return {
            "began": int(self._began),
            "seconds": round(time.monotonic() - self._clock, 1),
            "pending_shards": self._pending,
            "stages": self._stages,
        }


def past_sessions(layout: Layout) -> list[dict[str, Any]]:
    """Return the sessions of a run that did something, in order."""
    found = [json.loads(path.read_text()) for path in (layout.folder / "sessions").glob("*.json")]
    return sorted(found, key=lambda session: (session["began"], session["seconds"]))


def stage_times(sessions: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return time by stage over all sessions."""
    totals: dict[str, dict[str, float]] = {}
    for session in sessions:
        for stage, times in session.get("stages", {}).items():
            total = totals.setdefault(stage, {})
            for key, value in times.items():
                total[key] = round(total.get(key, 0) + value, 6)
    return totals
