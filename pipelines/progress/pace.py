"""The time left: the tokens that the missing shards will need, at the engines' recent speed.

A missing shard is expected to need as many tokens as the last committed ones did, in any session. The speed is this
session's alone, so resumed shards and replayed completions never look like speed.
"""

from collections import deque
from collections.abc import Sequence

from stepforge.pipelines.progress.snapshot import EngineProgress
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.storage.layout import SHARD_STAGES, ShardStage

ENGINE_STAGES: tuple[ShardStage, ...] = ("solve", "label")
LAST = 20
"""How many committed shards to average. Only the last: a run's first shards may cost more, where a labeler fits its
rates on them."""
ENOUGH_SECONDS = 15.0
ENOUGH_SHARDS = 2


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
