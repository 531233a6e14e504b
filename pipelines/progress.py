"""Progress: one line every few seconds on standard error, from the committed shards and the engines' counters."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

from pipelines.layout import SHARD_STAGES, Layout
from pipelines.ledger import ShardReport
from pipelines.plan import ShardPlan
from pipelines.pool import Worker

SECONDS = 5.0


class Progress:
    """Counts what is done; says so unless ``quiet``."""

    def __init__(self, layout: Layout, plan: list[ShardPlan], *, quiet: bool) -> None:
        self.total = len(plan)
        self.quiet = quiet
        self.done_shards = Counter({stage: len(layout.shards(stage)) for stage in SHARD_STAGES})
        self.began = time.monotonic()
        self.counters: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def done(self, report: ShardReport) -> None:
        """Take note of a committed shard."""
        self.done_shards[report.stage] += 1
        self.failures.update(report.failures)

    async def watch(self, engines: Sequence[Worker]) -> None:
        """Ask the engines and print a line, until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            before, self.counters = self.counters, await _counters(engines)
            if not self.quiet:
                sys.stderr.write(self.line(self.counters - before) + "\n")

    def close(self) -> None:
        """Say how far it came."""
        if not self.quiet:
            sys.stderr.write(self.line(Counter()) + "\n")

    def line(self, recent: Counter[str]) -> str:
        """Return the state in one line: shards by stage, rates over the last interval, cached share, failures."""
        stages = " ".join(f"{stage} {self.done_shards[stage]}/{self.total}" for stage in SHARD_STAGES)
        rates = f"{recent['rollouts'] / SECONDS:.0f} rollouts/s {recent['generated_tokens'] / SECONDS:.0f} tokens/s"
        prompt = self.counters["prompt_tokens"]
        cached = f"{self.counters['cached_tokens'] / prompt:.0%} cached" if prompt else "0% cached"
        failed = f" failures {dict(self.failures)}" if self.failures else ""
        seconds = time.monotonic() - self.began
        return f"[{seconds:5.0f}s] {stages} | {rates} {cached} {self.counters['running']} running{failed}"


async def _counters(engines: Sequence[Worker]) -> Counter[str]:
    total: Counter[str] = Counter()
    for answer in await asyncio.gather(*(engine.counters(SECONDS) for engine in engines)):
        total.update(answer)
    return total
