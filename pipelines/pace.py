"""The estimated end: the engine work that is left, at the speed the engines have shown lately.

Work is counted in generated tokens. What a shard takes is known from the shards that are committed, whenever that
was; the speed is of this session alone, so that resumed shards and replayed completions never look like speed.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from pipelines.engine_meter import EngineMeter
from pipelines.layout import SHARD_STAGES, ShardStage
from pipelines.ledger import ShardReport
from pipelines.plan import ShardPlan

ENGINE_STAGES: tuple[ShardStage, ...] = ("solve", "label")
ENOUGH_SECONDS = 15.0
ENOUGH_ROLLOUTS = 50
ENOUGH_SHARDS = 2
"""Before so much is seen, the end is unknown: this session's engines at work, and committed shards of each stage."""


class Pace:
    """Takes note of committed shards; tells the time that is left."""

    def __init__(self, plan: Sequence[ShardPlan], pilot: Collection[int] = ()) -> None:
        """``pilot`` names the shards that are labelled under other rates, and so say little about the others."""
        self._rows = {shard.index: shard.stop - shard.start for shard in plan}
        self._left: dict[ShardStage, set[int]] = {stage: set(self._rows) for stage in SHARD_STAGES}
        self._pilot = frozenset(pilot)
        self._known: Counter[tuple[ShardStage, bool]] = Counter()
        """Committed shards, by stage and whether they are of the pilot."""
        self._known_rows: Counter[tuple[ShardStage, bool]] = Counter()
        self._known_tokens: Counter[tuple[ShardStage, bool]] = Counter()
        self._committed = 0
        """Tokens of the shards committed in this session."""
        self._commits = 0
        self._behind = 0
        """Tokens of committed shards that no engine generated in this session, at least."""

    def done(self, report: ShardReport, *, now: bool) -> None:
        """Take note of a shard; ``now`` tells that this session committed it."""
        group = (report.stage, report.shard in self._pilot)
        self._left[report.stage].discard(report.shard)
        self._known[group] += 1
        self._known_rows[group] += self._rows.get(report.shard, 0)
        self._known_tokens[group] += report.cost.generated_tokens
        if now:
            self._committed += report.cost.generated_tokens
            self._commits += 1

    def seconds_left(self, meter: EngineMeter, elapsed: float) -> float | None:
        """Return the estimated seconds until every shard is through; None while too little has been seen.

        ``elapsed`` is the age of this session in seconds.
        """
        work = [self._work_left(stage) for stage in ENGINE_STAGES]
        if any(tokens is None for tokens in work):
            return None
        tokens = sum(tokens or 0.0 for tokens in work) - self._under_way(meter)
        if tokens <= 0:
            return self._without_engine(elapsed)
        seconds, rollouts = meter.seen()
        speed = meter.figures().recent
        if seconds < ENOUGH_SECONDS or rollouts < ENOUGH_ROLLOUTS or speed is None or speed.tokens <= 0:
            return None
        return tokens / speed.tokens

    def _work_left(self, stage: ShardStage) -> float | None:
        """Tokens that the missing shards of a stage take, whether begun or not."""
        total = 0.0
        for pilot in (True, False):
            rows = sum(self._rows[index] for index in self._left[stage] if (index in self._pilot) == pilot)
            if rows:
                per_row = self._tokens_per_row(stage, pilot)
                if per_row is None:
                    return None
                total += rows * per_row
        return total

    def _tokens_per_row(self, stage: ShardStage, pilot: bool) -> float | None:
        """From shards of the same kind where enough are known, else from all."""
        own, both = [(stage, pilot)], [(stage, True), (stage, False)]
        groups = own if _sum(self._known, own) >= ENOUGH_SHARDS else both
        if _sum(self._known, groups) < min(ENOUGH_SHARDS, len(self._rows)):
            return None
        rows = _sum(self._known_rows, groups)
        return _sum(self._known_tokens, groups) / rows if rows else None

    def _under_way(self, meter: EngineMeter) -> int:
        """Tokens generated for shards that are not committed yet.

        Committed shards may hold tokens that the engines did not generate in this session (replayed ones); what is
        missing for that reason stays missing.
        """
        made = meter.tokens - self._committed
        self._behind = max(self._behind, -made)
        return made + self._behind

    def _without_engine(self, elapsed: float) -> float | None:
        """Where nothing is left to sample, shards go on being committed as they were."""
        left = sum(map(len, self._left.values()))
        if not left:
            return 0.0
        return left * elapsed / self._commits if self._commits >= ENOUGH_SHARDS and elapsed > 0 else None


def _sum(counts: Mapping[tuple[ShardStage, bool], int], groups: Sequence[tuple[ShardStage, bool]]) -> int:
    return sum(counts[group] for group in groups)
