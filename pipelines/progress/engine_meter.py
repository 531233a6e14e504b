"""How fast a run is: the engines' counters added up over workers and restarts, and the time left.

A missing shard is expected to need as many tokens as the last committed ones did, in any session. The speed is this
session's alone, so resumed shards and replayed completions never look like speed.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stepforge.pipelines.engines.gate import UNBOUNDED
from stepforge.pipelines.progress.snapshot import ADDED, EngineProgress, Speed
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.storage.layout import ENGINE_STAGES, SHARD_STAGES, ShardStage

GROWING = (*ADDED, "errors", "busy_ms")
"""Counters that only grow within a worker's process; a restarted process begins at zero."""
RECENT_SECONDS = 60.0
RECENT_ROLLOUTS = 100
"""The recent speed covers at least this much of both, or all there is."""
LAST = 20
"""How many committed shards to average. Only the last: a run's first shards may cost more, where a labeler fits its
rates on them."""
ENOUGH_SECONDS = 15.0
ENOUGH_SHARDS = 2


class Reading(NamedTuple):
    at: float
    """Seconds of the clock."""
    rollouts: int
    tokens: int
    busy_seconds: float


class EngineMeter:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.replayed = 0
        """Completions that came from a journal, not from an engine of this session."""
        self._clock = clock
        self._last: list[Mapping[str, int]] = []
        self._now: list[Mapping[str, int]] = []
        """The last counters received from each engine."""
        self._total: Counter[str] = Counter()
        self._readings: deque[Reading] = deque(maxlen=4096)
        self._done = 0
        self._answered = clock()
        """When the last completion came, or nothing was in flight."""
        self._first: Reading | None = None
        """The last reading before the first completion: loading a model is not slowness."""

    def take(self, answers: Sequence[Mapping[str, int]]) -> None:
        """Record one answer per engine, in order; an empty one is from an engine that did not answer."""
        before = [*self._last, *({} for _ in answers[len(self._last) :])]
        for now, last in zip(answers, before, strict=True):
            for key in GROWING:
                grown = now.get(key, 0) - last.get(key, 0)
                self._total[key] += (grown if grown >= 0 else now[key]) if key in now else 0
        self._last = [now or last for now, last in zip(answers, before, strict=True)]
        self._now = [now for now in answers if now]
        total = self._total
        done, under_way = total["rollouts"] + total["errors"], any(now.get("running") for now in self._now)
        if done != self._done or not under_way:
            self._done, self._answered = done, self._clock()
        self._note(Reading(self._clock(), total["rollouts"], total["generated_tokens"], total["busy_ms"] / 1000))

    def figures(self) -> EngineProgress:
        capacity = sum(last.get("capacity", 0) for last in self._last)
        recent, mean, busy = self._speeds()
        return EngineProgress(
            engines=len(self._last),
            answering=len(self._now),
            starting=sum(not last for last in self._last),
            checking=self._sum("checking"),
            running=self._sum("running"),
            **{name: self._total[name] for name in ADDED},
            replayed=self.replayed,
            away_seconds=max((now.get("away_seconds", 0) for now in self._now), default=0),
            silent_seconds=int(self._clock() - self._answered),
            waiting=self._sum("waiting") if any("waiting" in last for last in self._last) else None,
            capacity=capacity if 0 < capacity < UNBOUNDED else None,
            busy=busy,
            recent=recent,
            mean=mean,
        )

    def _sum(self, counter: str) -> int:
        return sum(now.get(counter, 0) for now in self._now)

    def _note(self, reading: Reading) -> None:
        if self._first is None and reading.rollouts:
            self._first = self._readings[-1] if self._readings else reading._replace(rollouts=0, tokens=0)
        self._readings.append(reading)
        while len(self._readings) > 2 and _far_enough(self._readings[1], reading):
            self._readings.popleft()

    def _speeds(self) -> tuple[Speed | None, Speed | None, float | None]:
        """Return the recent and the mean speed, and the recent share of busy time; the recent past begins no earlier
        than the first completion."""
        if self._first is None:
            return None, None, None
        last = self._readings[-1]
        recent = max(self._readings[0], self._first, key=lambda reading: reading.at)
        seconds = (last.at - recent.at) * len(self._last)
        busy = min(1.0, (last.busy_seconds - recent.busy_seconds) / seconds) if seconds > 0 else None
        return _speed(recent, last), _speed(self._first, last), busy


def _far_enough(start: Reading, last: Reading) -> bool:
    return last.at - start.at >= RECENT_SECONDS and last.rollouts - start.rollouts >= RECENT_ROLLOUTS


def _speed(start: Reading, last: Reading) -> Speed | None:
    seconds = last.at - start.at
    if seconds <= 0:
        return None
    return Speed(rollouts=(last.rollouts - start.rollouts) / seconds, tokens=(last.tokens - start.tokens) / seconds)


class Pace:
    def __init__(self, plan: Sequence[ShardPlan]) -> None:
        self._left: dict[ShardStage, set[int]] = {stage: {shard.index for shard in plan} for stage in SHARD_STAGES}
        self._tokens: dict[ShardStage, deque[int]] = {stage: deque(maxlen=LAST) for stage in ENGINE_STAGES}
        self._committed = 0
        """Tokens of the shards that this session committed."""

    def done(self, report: ShardReport, *, now: bool) -> None:
        """Record a shard; ``now`` means that this session committed it."""
        self._committed += report.cost.generated_tokens if now else 0
        self._left[report.stage].discard(report.shard)
        if report.stage in self._tokens:
            self._tokens[report.stage].append(report.cost.generated_tokens)

    def seconds_left(self, engine: EngineProgress, elapsed: float) -> float | None:
        """Return the estimated seconds until every shard is through; None while too little has been seen, or where
        shards under way already took more than all that are missing were expected to.

        ``elapsed`` is the age of this session in seconds.
        """
        if not any(self._left.values()):
            return 0.0
        missing = {stage: len(self._left[stage]) for stage in ENGINE_STAGES if self._left[stage]}
        if any(len(self._tokens[stage]) < ENOUGH_SHARDS for stage in missing) or elapsed < ENOUGH_SECONDS:
            return None
        work = sum(count * sum(self._tokens[stage]) / len(self._tokens[stage]) for stage, count in missing.items())
        done = max(0, engine.generated_tokens - self._committed)  # for shards that are not committed yet
        speed = engine.recent.tokens if engine.recent else 0.0
        return (work - done) / speed if work > done and speed else None
