"""How far a run is at one moment: what live view, ``progress.json``, ``stepforge status`` and metrics all show."""

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
"""Seconds of a moment or a span that can be told as a date."""


class Speed(Record):
    """What the engines give per second: rollouts and generated tokens. Replayed completions do not count."""

    rollouts: float
    tokens: float


class EngineProgress(Record):
    """The engines, since this session began."""

    engines: int = 0
    answering: int = 0
    """Those that answered when asked."""
    starting: int = 0
    """Those that have never answered: the model is being loaded."""
    checking: int = 0
    """Those whose first answers are being checked, before anything is sampled for the run."""
    rollouts: int = 0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens found in the prefix cache."""
    cancelled: int = 0
    """Requests that were given up in the middle, because nobody needed their answer any more."""
    replayed: int = 0
    """Completions of committed shards that came from the journal of an earlier session."""
    away_seconds: int = 0
    """How long a server has been away that requests are waiting for; 0 while it is there."""
    silent_seconds: int = 0
    """How long requests have been under way without one answer; 0 where one came lately."""
    running: int = 0
    """Requests under way."""
    waiting: int | None = None
    """Requests that wait for room in the engines."""
    capacity: int | None = None
    """Requests that the engines take at a time."""
    busy: float | None = None
    """Share of recent time in which an engine had something to do, mean over the engines; None before it is seen."""
    recent: Speed | None = None
    """Over about the last minute."""
    mean: Speed | None = None
    """Since the first completion of this session."""

    @property
    def cached_share(self) -> float | None:
        """Share of the prompt tokens that came from the prefix cache."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None


class Snapshot(Record):
    """The run at one moment."""

    written: float = Field(ge=0, le=LATEST)
    """Unix time, in seconds."""
    elapsed: float = Field(ge=0, le=LATEST)
    """Seconds since this session began."""
    ended: bool = False
    """Whether the session ended; false after a driver was killed."""
    shards: int
    """Shards of the run."""
    stages: dict[ShardStage, StageTotal]
    """Over all sessions of the run, but for the time that they took."""
    engine: EngineProgress = EngineProgress()
    watched: Watched = Watched()
    """What tells whether the engines answer as they are asked."""
    seconds_left: float | None = Field(default=None, ge=0, le=LATEST)
    """Estimated time until every shard is through all stages; None while too little has been seen."""

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.written)


def read_snapshot(folder: AnyPath) -> Snapshot | None:
    """Return the last snapshot of a run folder; None if there is none, or none that this version understands."""
    try:
        return Snapshot.model_validate_json(read_small(folder / PROGRESS_FILE))
    except (OSError, ValidationError):
        return None
