"""A run's progress at one moment, and in words: for the live view, ``progress.json``, ``stepforge status`` and the
metrics."""

import time
from collections.abc import Mapping

from pydantic import Field, ValidationError

from stepforge.pipelines.run_folder.ledger import StageTotal, added
from stepforge.pipelines.run_folder.watched import Watched
from stepforge.pipelines.storage.layout import ShardStage
from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.terminal.tables import reasons, shown, table
from stepforge.schemas.record import Record

PROGRESS_FILE = "progress.json"
LATEST = 1e10
"""Seconds of a time or duration that can be shown as a date."""
SILENT_SECONDS = 30
"""Seconds after which requests in flight without any answer are reported."""

ADDED = ("rollouts", "generated_tokens", "prompt_tokens", "cached_tokens", "cancelled")
"""Counters of the engines that are added up over the session."""


class Speed(Record):
    """Engine output per second: rollouts and generated tokens. Replayed completions do not count."""

    rollouts: float
    tokens: float


class EngineProgress(Record):
    """The engines together; the metrics' port serves each field that has a description."""

    engines: int = Field(0, description="Workers with an engine.")
    answering: int = Field(0, description="Engines that answered when they were asked.")
    starting: int = Field(0, description="Engines that have never answered: the model is loading.")
    checking: int = Field(0, description="Engines whose first answers are being checked, before they are used.")
    rollouts: int = Field(0, description="Completions by the engines in this session.")
    generated_tokens: int = Field(0, description="Tokens generated in this session.")
    prompt_tokens: int = Field(0, description="Prompt tokens given in this session, cached or not.")
    cached_tokens: int = Field(0, description="Prompt tokens found in the prefix cache in this session.")
    cancelled: int = Field(0, description="Requests canceled midway in this session.")
    replayed: int = Field(0, description="Completions taken from the journal of an earlier session.")
    away_seconds: int = 0
    """How long the server has been down that requests are waiting for; 0 while it is up."""
    silent_seconds: int = 0
    """How long requests have been in flight without any answer; 0 if one came recently."""
    running: int = Field(0, description="Requests in flight.")
    waiting: int | None = Field(None, description="Requests that wait for room in the engines.")
    capacity: int | None = Field(None, description="Requests that the engines accept at a time.")
    busy: float | None = Field(None, description="Share of recent time in which an engine had work.")
    recent: Speed | None = None
    """Over about the last minute."""
    mean: Speed | None = None
    """Since the first completion of this session."""

    @property
    def cached_share(self) -> float | None:
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None


class Snapshot(Record):
    written: float = Field(ge=0, le=LATEST)
    """Unix time, in seconds."""
    elapsed: float = Field(ge=0, le=LATEST)
    """Seconds since this session began."""
    ended: bool = False
    """Whether the session ended; false after a driver was killed."""
    shards: int
    stages: dict[ShardStage, StageTotal]
    """Over all sessions of the run, except for their time."""
    engine: EngineProgress = EngineProgress()
    watched: Watched = Watched()
    """Figures that show whether the engines answer correctly."""
    seconds_left: float | None = Field(default=None, ge=0, le=LATEST)
    """Estimated time until every shard is through all stages; None while there is too little data."""

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.written)


def read_snapshot(folder: AnyPath) -> Snapshot | None:
    """Return the last snapshot of a run folder; None if there is none that this version understands."""
    try:
        return Snapshot.model_validate_json(read_small(folder / PROGRESS_FILE))
    except (OSError, ValidationError):
        return None


def progress_line(snapshot: Snapshot) -> str:
    stages = " ".join(f"{name} {stage.shards}/{snapshot.shards}" for name, stage in snapshot.stages.items())
    failures = reasons(added(stage.failures for stage in snapshot.stages.values()))
    failed = f" | failures: {failures}" if failures else ""
    return f"[{snapshot.elapsed:5.0f}s] {stages} | {engine_text(snapshot.engine)} | {end_text(snapshot)}{failed}"


def end_text(snapshot: Snapshot) -> str:
    if all(stage.shards == snapshot.shards for stage in snapshot.stages.values()):
        return "every shard is done"
    if snapshot.seconds_left is None:
        return "end unknown yet"
    at = time.strftime("%a %H:%M", time.localtime(snapshot.written + snapshot.seconds_left))
    return f"about {duration(snapshot.seconds_left)} left, until {at}"


def engine_text(engine: EngineProgress) -> str:
    return ", ".join(part for part in (fill_text(engine), speed_text(engine)) if part)


def fill_text(engine: EngineProgress) -> str:
    if not engine.engines:
        return "no engine"
    of = f" of {engine.capacity:,}" if engine.capacity else ""
    parts = [f"{engine.running:,}{of} running"]
    if engine.waiting:
        parts.append(f"{engine.waiting:,} waiting")
    if engine.busy is not None:
        parts.append(f"busy {engine.busy:.0%}")
    if engine.away_seconds:
        parts.append(f"the server has been down for {duration(engine.away_seconds)}: waiting for it")
    elif engine.silent_seconds >= SILENT_SECONDS:
        parts.append(f"no answer for {duration(engine.silent_seconds)}")
    counts = {
        "starting": engine.starting,
        "being checked": engine.checking,
        "not answering": engine.engines - engine.answering - engine.starting,
    }
    parts += [f"{count} of {engine.engines} engines {state}" for state, count in counts.items() if count > 0]
    return ", ".join(parts)


def speed_text(engine: EngineProgress) -> str:
    parts = []
    if engine.recent is not None and engine.mean is not None:
        recent, mean = engine.recent, engine.mean
        parts.append(f"{shown(recent.rollouts)} rollouts/s (mean {shown(mean.rollouts)})")
        parts.append(f"{shown(recent.tokens)} tokens/s (mean {shown(mean.tokens)})")
    if engine.cached_share is not None:
        parts.append(f"{engine.cached_share:.0%} of prompt tokens cached")
    if engine.cancelled:
        parts.append(f"{engine.cancelled:,} canceled")
    if engine.replayed:
        parts.append(f"{engine.replayed:,} replayed")
    return ", ".join(parts)


def stages_text(stages: Mapping[ShardStage, StageTotal], shards: int) -> str:
    """Return a table of the stages, and under it why rows were lost."""
    rows, lines = [], []
    for name, stage in stages.items():
        lost = {"rejected": stage.rejected, "failures": stage.failures}
        numbers = (stage.rows_in, stage.rows_out, *(sum(counts.values()) for counts in lost.values()))
        rows.append((name, f"{stage.shards:,}/{shards:,}", *numbers))
        lines += [f"{kind} {name}: {reasons(counts)}" for kind, counts in lost.items() if counts]
    return "\n".join([table(("stage", "shards", "rows in", "rows out", "rejected", "failures"), rows), *lines])


def duration(seconds: float) -> str:
    for unit, larger, smaller in ((86_400, "d", "h"), (3_600, "h", "min"), (60, "min", "s")):
        if seconds >= unit:
            whole, rest = divmod(round(seconds), unit)
            part = rest // {"d": 3_600, "h": 60, "min": 1}[larger]
            return f"{whole} {larger} {part} {smaller}" if part else f"{whole} {larger}"
    return f"{seconds:.0f} s"
