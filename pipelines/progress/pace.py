"""The estimated end: the remaining engine work at the engines' recent speed.

The work per shard is known from committed shards of any session; the speed is only from this session, so resumed shards
and replayed completions never look like speed. Work is counted twice, in rollouts and in generated tokens, because an
engine's time depends on one or the other; the later of the two ends is reported.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from stepforge.pipelines.progress.engine_meter import EngineMeter
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.storage.layout import SHARD_STAGES, ShardStage

ENGINE_STAGES: tuple[ShardStage, ...] = ("solve", "label")
UNITS = ("rollouts", "generated_tokens")
ENOUGH_SECONDS = 15.0
ENOUGH_ROLLOUTS = 50
ENOUGH_SHARDS = 2
"""Minimum data for an estimate: this session's engines at work, and committed shards of each stage."""

Group = tuple[ShardStage, bool]
"""A stage, and whether the shards are in the rates' pilot: those cost more and say little about the others."""


class Pace:
    """Records committed shards; estimates the time left."""

    def __init__(self, plan: Sequence[ShardPlan], pilot: Collection[int] = ()) -> None:
        self._rows = {shard.index: shard.stop - shard.start for shard in plan}
        self._left: dict[ShardStage, set[int]] = {stage: set(self._rows) for stage in SHARD_STAGES}
        self._pilot = frozenset(pilot)
        self._shards: Counter[Group] = Counter()
        self._known_rows: Counter[Group] = Counter()
        self._work: Counter[tuple[Group, str]] = Counter()
        """Work of committed shards, by unit."""
        self._committed: Counter[str] = Counter()
        """Of that, in shards committed in this session."""
        self._replayed: Counter[str] = Counter()
        """Of that, at least this much was not done by an engine in this session."""
        self._commits = 0

    def done(self, report: ShardReport, *, now: bool) -> None:
        """Record a shard; ``now`` means that this session committed it."""
        group = (report.stage, report.shard in self._pilot)
        self._left[report.stage].discard(report.shard)
        self._shards[group] += 1
        self._known_rows[group] += self._rows.get(report.shard, 0)
        self._commits += now
        for unit in UNITS:
            amount = getattr(report.cost, unit)
            self._work[group, unit] += amount
            self._committed[unit] += amount if now else 0

    def seconds_left(self, meter: EngineMeter, elapsed: float) -> float | None:
        """Return the estimated seconds until every shard is through; None while too little has been seen.

        ``elapsed`` is the age of this session in seconds.
        """
        found = [self._work_left(unit, meter) for unit in UNITS]
        left = [amount for amount in found if amount is not None]
        if len(left) < len(UNITS):
            return None
        if max(left) <= 0:
            return self._without_engine(elapsed)
        seconds, rollouts = meter.seen()
        speed = meter.figures().recent
        if seconds < ENOUGH_SECONDS or rollouts < ENOUGH_ROLLOUTS or speed is None:
            return None
        pairs = zip(left, (speed.rollouts, speed.tokens), strict=True)
        return max((amount / rate for amount, rate in pairs if rate > 0), default=None)

    def _work_left(self, unit: str, meter: EngineMeter) -> float | None:
        """Return the work left, in shards that have started and in those that have not; None while unknown."""
        total = 0.0
        for stage in ENGINE_STAGES:
            for pilot in (True, False):
                missing = sum(self._rows[index] for index in self._left[stage] if (index in self._pilot) == pilot)
                groups = self._alike(stage, pilot)
                rows = sum(self._known_rows[group] for group in groups)
                if missing and not rows:
                    return None
                total += missing / rows * sum(self._work[group, unit] for group in groups) if missing else 0.0
        made = meter.total(unit) - self._committed[unit]
        self._replayed[unit] = max(self._replayed[unit], -made)  # missing for that reason, so it stays missing
        return max(0.0, total - made - self._replayed[unit])

    def _alike(self, stage: ShardStage, pilot: bool) -> list[Group]:
        """Return the groups to estimate a shard's work from: its own if enough is known, else the whole stage."""
        both: list[Group] = [(stage, True), (stage, False)]
        groups = [(stage, pilot)] if self._shards[stage, pilot] >= ENOUGH_SHARDS else both
        return groups if sum(self._shards[group] for group in groups) >= min(ENOUGH_SHARDS, len(self._rows)) else []

    def _without_engine(self, elapsed: float) -> float | None:
        """If nothing is left to sample, shards keep being committed at the same pace."""
        left = sum(map(len, self._left.values()))
        if not left:
            return 0.0
        return left * elapsed / self._commits if self._commits >= ENOUGH_SHARDS and elapsed > 0 else None
