"""What each session of a run took in time: the one thing that differs each time, and so is kept out of the shards."""

import time

from pydantic import ValidationError

from stepforge.pipelines.run_folder.timeline import Timeline, TimelineFigures
from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Cost
from stepforge.schemas.record import Record

WRITE_SECONDS = 30.0


class StageTime(Record):
    """What one stage took in one session."""

    shards: int
    """Shards committed."""
    seconds: float
    """Their wall clock together; shards overlap."""
    engine_seconds: float
    replayed: int
    """Completions that were found in a journal or among those kept."""
    first: float
    """When the stage began, in seconds of the session."""
    last: float


class SessionFigures(Record):
    """One session of a run."""

    began: int
    """Unix time."""
    seconds: float
    pending_shards: int
    """Shards that were missing when it began."""
    stages: dict[ShardStage, StageTime]
    timeline: TimelineFigures | None = None
    """None in sessions of earlier versions."""


class Session:
    """Time spent since one driver began, by stage, kept in ``sessions/<name>.json``."""

    def __init__(self, layout: Layout, name: str, pending: int) -> None:
        self._path: AnyPath = layout.folder / "sessions" / f"{name}.json"
        self._began, self._clock = time.time(), time.monotonic()
        self._pending = pending
        self._stages: dict[ShardStage, StageTime] = {}
        self._timeline = Timeline()
        self._written = self._clock

    def note(self, stage: ShardStage, seconds: float, engine_seconds: float, replayed: int, cost: Cost) -> None:
        """Add what a shard that was committed just now took."""
        ends = time.monotonic() - self._clock
        drawn = 1 - min(1.0, replayed / cost.rollouts) if cost.rollouts else 0.0
        self._timeline.add(ends - seconds, ends, cost.generated_tokens * drawn, engine_seconds)
        before = self._stages.get(stage)
        self._stages[stage] = StageTime(
            shards=(before.shards if before else 0) + 1,
            seconds=round((before.seconds if before else 0.0) + seconds, 6),
            engine_seconds=round((before.engine_seconds if before else 0.0) + engine_seconds, 6),
            replayed=(before.replayed if before else 0) + replayed,
            first=round(min(before.first if before else ends, ends - seconds), 3),
            last=round(ends, 3),
        )

    def write(self, *, now: bool = True) -> None:
        """Keep what is known; unless ``now``, only if that was long ago."""
        if now or time.monotonic() - self._written > WRITE_SECONDS:
            self._written = time.monotonic()
            write_checksummed(self._path, self.figures().model_dump())

    def figures(self) -> SessionFigures:
        seconds = round(time.monotonic() - self._clock, 1)
        return SessionFigures(
            began=int(self._began),
            seconds=seconds,
            pending_shards=self._pending,
            stages=self._stages,
            timeline=self._timeline.figures(),
        )


def past_sessions(layout: Layout) -> list[SessionFigures]:
    """Return the sessions of a run that did something, in order."""
    found = [_read(path) for path in (layout.folder / "sessions").glob("*.json")]
    return sorted(found, key=lambda session: (session.began, session.seconds))


def _read(path: AnyPath) -> SessionFigures:
    try:
        return SessionFigures.model_validate(read_checksummed(path))
    except ValidationError:
        raise RunFailed(f"{path}: not a session of this version; delete it and run again") from None
