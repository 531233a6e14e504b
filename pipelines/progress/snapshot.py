"""A run's progress at one moment: what the live view, ``progress.json``, ``stepforge status`` and the metrics show."""

import time

from pydantic import Field, ValidationError

from stepforge.pipelines.run_folder.ledger import StageTotal
from stepforge.pipelines.run_folder.watched import Watched
from stepforge.pipelines.storage.layout import ShardStage
from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.record import Record

PROGRESS_FILE = "progress.json"
LATEST = 1e10
"""Seconds of a time or duration that can be shown as a date."""


class Speed(Record):
    """Engine output per second: rollouts and generated tokens. Replayed completions do not count."""

    rollouts: float
    tokens: float


class EngineProgress(Record):
    engines: int = 0
    answering: int = 0
    starting: int = 0
    """Those that have never answered: the model is loading."""
    checking: int = 0
    """Those whose first answers are being checked, before anything is sampled for the run."""
    rollouts: int = 0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens found in the prefix cache."""
    cancelled: int = 0
    """Requests canceled midway because their answer was no longer needed."""
    replayed: int = 0
    """Completions of committed shards that came from the journal of an earlier session."""
    away_seconds: int = 0
    """How long the server has been down that requests are waiting for; 0 while it is up."""
    silent_seconds: int = 0
    """How long requests have been in flight without any answer; 0 if one came recently."""
    running: int = 0
    waiting: int | None = None
    """Requests that wait for room in the engines."""
    capacity: int | None = None
    """Requests that the engines accept at a time."""
    busy: float | None = None
    """Share of recent time in which an engine had work, mean over the engines; None before it is known."""
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
