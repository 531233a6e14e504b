"""The estimated end: the engine work that is left, at the speed the engines have shown lately.

What a shard takes is known from the shards that are committed, whenever that was; the speed is of this session alone,
so that resumed shards and replayed completions never look like speed. Work is counted twice, in rollouts and in
generated tokens, because an engine's time goes with one or the other; the later end of the two is told.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from stepforge.pipelines.progress.engine_meter import EngineMeter
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.storage.layout import SHARD_STAGES, ShardStage

ENGINE_STAGES: tuple[ShardStage, ...] = ("solve", "label")
ENOUGH_SECONDS = 15.0
ENOUGH_ROLLOUTS = 50
ENOUGH_SHARDS = 2
"""Before so much is seen, the end is unknown: this session's engines at work, and committed shards of each stage."""

Group = tuple[ShardStage, bool]
"""A stage, and whether the shards are of the rates' pilot."""


class Pace:
    """Takes note of committed shards; tells the time that is left."""

    def __init__(self, plan: Sequence[ShardPlan], pilot: Collection[int] = ()) -> None:
        """``pilot`` names the shards that are labeled under other rates, and so say little about the others."""
        self._rows = {shard.index: shard.stop - shard.start for shard in plan}
        self._left: dict[ShardStage, set[int]] = {stage: set(self._rows) for stage in SHARD_STAGES}
        self._pilot = frozenset(pilot)
        self._known: Counter[Group] = Counter()
        """Committed shards."""
        self._known_rows: Counter[Group] = Counter()
        self._work = (_Work("rollouts"), _Work("generated_tokens"))
        self._commits = 0

    def done(self, report: ShardReport, *, now: bool) -> None:
        """Take note of a shard; ``now`` tells that this session committed it."""
        group = (report.stage, report.shard in self._pilot)
        self._left[report.stage].discard(report.shard)
        self._known[group] += 1
        self._known_rows[group] += self._rows.get(report.shard, 0)
        self._commits += now
        for work in self._work:
            work.add(group, report, now=now)

    def seconds_left(self, meter: EngineMeter, elapsed: float) -> float | None:
        """Return the estimated seconds until every shard is through; None while too little has been seen.

        ``elapsed`` is the age of this session in seconds.
        """
        groups = self._groups_left()
        if groups is None:
            return None
        left = [work.left(groups, meter) for work in self._work]
        if max(left) <= 0:
            return self._without_engine(elapsed)
        seconds, rollouts = meter.seen()
        speed = meter.figures().recent
        if seconds < ENOUGH_SECONDS or rollouts < ENOUGH_ROLLOUTS or speed is None:
            return None
        pairs = zip(left, (speed.rollouts, speed.tokens), strict=True)
        return max((amount / rate for amount, rate in pairs if rate > 0), default=None)

    def _groups_left(self) -> "list[tuple[float, list[Group]]] | None":
        """Return the missing rows, and the groups whose rows tell what these take; None while no group tells."""
        found = []
        for stage in ENGINE_STAGES:
            for pilot in (True, False):
                missing = sum(self._rows[index] for index in self._left[stage] if (index in self._pilot) == pilot)
                groups = self._told_by(stage, pilot)
                rows = sum(self._known_rows[group] for group in groups)
                if missing and not rows:
                    return None
                found.append((missing / rows if missing else 0.0, groups))
        return found

    def _told_by(self, stage: ShardStage, pilot: bool) -> list[Group]:
        """Shards of the same kind where enough are known, else all of the stage."""
        own: list[Group] = [(stage, pilot)]
        both: list[Group] = [(stage, True), (stage, False)]
        groups = own if self._known[own[0]] >= ENOUGH_SHARDS else both
        return groups if sum(self._known[group] for group in groups) >= min(ENOUGH_SHARDS, len(self._rows)) else []

    def _without_engine(self, elapsed: float) -> float | None:
        """Where nothing is left to sample, shards go on being committed as they were."""
        left = sum(map(len, self._left.values()))
        if not left:
            return 0.0
        return left * elapsed / self._commits if self._commits >= ENOUGH_SHARDS and elapsed > 0 else None


class _Work:
    """What shards take, in one unit."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._known: Counter[Group] = Counter()
        self._committed = 0
        """Of the shards committed in this session."""
        self._behind = 0
        """What committed shards hold that no engine made in this session, at least."""

    def add(self, group: Group, report: ShardReport, *, now: bool) -> None:
        amount = getattr(report.cost, self._unit)
        self._known[group] += amount
        self._committed += amount if now else 0

    def left(self, groups: "list[tuple[float, list[Group]]]", meter: EngineMeter) -> float:
        """Return what is still to be made, whether its shards are begun or not."""
        total = sum(factor * sum(self._known[group] for group in told_by) for factor, told_by in groups)
        return max(0.0, total - self._under_way(meter))

    def _under_way(self, meter: EngineMeter) -> int:
        """Return what was made for shards that are not committed yet.

        Committed shards may hold completions that the engines did not make in this session (replayed ones); what is
        missing for that reason stays missing.
        """
        made = meter.total(self._unit) - self._committed
        self._behind = max(self._behind, -made)
        return made + self._behind
