"""The time taken by each session of a run: the one thing that varies, so it is kept out of the shards."""

import time
from itertools import zip_longest

from stepforge.pipelines.storage.checksummed import read_record, write_checksummed
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.labeled import Cost
from stepforge.schemas.record import Record

BINS = 120
FIRST_SECONDS = 1.0
WRITE_SECONDS = 30.0


class TimelineFigures(Record):
    seconds: float
    """Length of an interval."""
    generated_tokens: tuple[float, ...]
    """Without completions that were replayed."""
    engine_seconds: tuple[float, ...]


class StageTime(Record):
    shards: int
    seconds: float
    """Their wall clock together; shards overlap."""
    engine_seconds: float
    replayed: int
    """Completions found in a journal or among stored ones."""
    first: float
    """When the stage began, in seconds of the session."""
    last: float


class SessionFigures(Record):
    began: int
    """Unix time."""
    seconds: float
    pending_shards: int
    """Shards that were missing when it began."""
    stages: dict[ShardStage, StageTime]
    timeline: TimelineFigures | None = None
    """None in sessions of earlier versions."""


class Timeline:
    """Adds up work over time, in at most ``BINS`` intervals, which double in length when there are too many.

    A shard's tokens and engine seconds are spread evenly over its duration, since shards overlap and only their ends
    are known.
    """

    def __init__(self) -> None:
        self._seconds = FIRST_SECONDS
        self._tokens: list[float] = []
        self._engine: list[float] = []

    def add(self, begins: float, ends: float, tokens: float, engine_seconds: float) -> None:
        begins, ends = max(0.0, begins), max(ends, begins + 1e-3, 1e-3)
        while ends > self._seconds * BINS:
            self._seconds *= 2
            self._tokens, self._engine = _paired(self._tokens), _paired(self._engine)
        missing = int(ends / self._seconds) + 1 - len(self._tokens)
        self._tokens += [0.0] * missing
        self._engine += [0.0] * missing
        for i in range(int(begins / self._seconds), int(ends / self._seconds) + 1):
            part = min(ends, (i + 1) * self._seconds) - max(begins, i * self._seconds)
            self._tokens[i] += tokens * part / (ends - begins)
            self._engine[i] += engine_seconds * part / (ends - begins)

    def figures(self) -> TimelineFigures:
        tokens, engine = (tuple(round(x, 3) for x in amounts) for amounts in (self._tokens, self._engine))
        return TimelineFigures(seconds=self._seconds, generated_tokens=tokens, engine_seconds=engine)


def _paired(amounts: list[float]) -> list[float]:
    return [a + b for a, b in zip_longest(amounts[::2], amounts[1::2], fillvalue=0.0)]


class Session:
    """Time spent since one driver began, by stage, kept in ``sessions/<name>.json``."""

    def __init__(self, layout: Layout, name: str, pending: int) -> None:
        self.name = name
        self._path: AnyPath = layout.folder / "sessions" / f"{name}.json"
        self._began, self._clock = time.time(), time.monotonic()
        self._pending = pending
        self._stages: dict[ShardStage, StageTime] = {}
        self._timeline = Timeline()
        self._written = self._clock

    def note(self, stage: ShardStage, seconds: float, engine_seconds: float, replayed: int, cost: Cost) -> None:
        ends = time.monotonic() - self._clock
        drawn = 1 - min(1.0, replayed / cost.rollouts) if cost.rollouts else 0.0
        self._timeline.add(ends - seconds, ends, cost.generated_tokens * drawn, engine_seconds)
        nothing = StageTime(shards=0, seconds=0.0, engine_seconds=0.0, replayed=0, first=ends, last=ends)
        before = self._stages.get(stage, nothing)
        self._stages[stage] = StageTime(
            shards=before.shards + 1,
            seconds=round(before.seconds + seconds, 6),
            engine_seconds=round(before.engine_seconds + engine_seconds, 6),
            replayed=before.replayed + replayed,
            first=round(min(before.first, ends - seconds), 3),
            last=round(ends, 3),
        )

    def write(self, *, now: bool = True) -> None:
        """Save the state; unless ``now``, only if the last save was long ago."""
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
    found = [read_record(path, SessionFigures, "a session") for path in (layout.folder / "sessions").glob("*.json")]
    return sorted(found, key=lambda session: (session.began, session.seconds))
