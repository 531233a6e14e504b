"""Killable processes for comparisons that may hang.

Every comparison first gets a short CPU time (``QUICK_SECONDS``). A slower one yields to the others and goes to a
separate process for slow ones, with the full limit and a budget per problem, so slow answers never delay quick ones.
Every comparison is answered exactly once; it fails only if no process starts at all.
"""

import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass

from stepforge.grading.gates import MAX_LENGTH
from stepforge.pipelines.grading.process import GradingProcess, NotStarted
from stepforge.pipelines.grading.queue import Comparison, FairQueue
from stepforge.schemas.rollout import Outcome

QUICK_SECONDS = 0.5
"""CPU time a comparison may take before it yields to others."""
BUDGET = 3.0
"""Total budget for one problem's slow comparisons, in multiples of the limit."""


class GradingPool:
    """``processes`` workers, started with the first comparison; ``limit_seconds`` is wall-clock, for each."""

    def __init__(self, *, processes: int, limit_seconds: float, quick_seconds: float = QUICK_SECONDS) -> None:
        self._quick, self._slow = FairQueue(), FairQueue()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._budget = BUDGET * limit_seconds
        quick = min(quick_seconds, limit_seconds)

        def lane(queue: FairQueue, processor_seconds: float) -> _Lane:
            return _Lane(self, queue, GradingProcess(processor_seconds=processor_seconds, seconds=limit_seconds))

        self._quick_lanes = [lane(self._quick, quick) for _ in range(processes)]
        self._slow_lane = lane(self._slow, limit_seconds)
        self._lock = threading.Lock()
        self._closed = False

    @property
    def process_ids(self) -> list[int]:
        return [pid for lane in (*self._quick_lanes, self._slow_lane) if (pid := lane.process.pid) is not None]

    def submit(self, problem: str, reference: str, answer: str) -> "Future[Outcome]":
        """Queue a comparison; its future fails (``RunFailed``) only if no process starts.

        Raises:
            RuntimeError: the pool is closed.
        """
        future: Future[Outcome] = Future()
        if self._closed:
            raise RuntimeError("the grading pool is closed")
        if max(len(reference), len(answer)) > MAX_LENGTH:
            future.set_result("undetermined")
            return future
        self._start(self._quick_lanes)
        if not self._quick.put(Comparison(problem, reference, answer, future)):
            future.set_result("undetermined")
        return future

    def serve(self, comparison: Comparison, process: GradingProcess, queue: FairQueue) -> None:
        """Send a comparison to a process; called by the lanes."""
        slow = queue is self._slow
        if slow and self._spent[comparison.problem] >= self._budget:
            comparison.settle("undetermined")
            return
        began = time.monotonic()
        try:
            outcome = process.ask(comparison.reference, comparison.answer)
        except NotStarted:
            comparison.fail(None if process.ended else "the grading process does not start; try `stepforge doctor`")
            return
        if slow:
            self._spent[comparison.problem] += time.monotonic() - began
        if outcome is None and not slow:
            self._make_way(comparison)
        else:
            comparison.settle(outcome or "undetermined")

    def _make_way(self, comparison: Comparison) -> None:
        """Queue a slow comparison where it does not delay quick ones."""
        self._start([self._slow_lane])
        if not self._slow.put(comparison):
            comparison.settle("undetermined")

    def close(self) -> None:
        """End all processes; what is still queued becomes ``undetermined``. Blocks until they are gone."""
        with self._lock:
            self._closed = True
        lanes = [*self._quick_lanes, self._slow_lane]
        left = [comparison for queue in (self._quick, self._slow) for comparison in queue.close()]
        for lane in lanes:
            lane.process.interrupt()
        for lane in lanes:
            if lane.thread.ident is not None:
                lane.thread.join()
        for comparison in left:
            comparison.settle("undetermined")

    def _start(self, lanes: "list[_Lane]") -> None:
        with self._lock:
            for lane in lanes:
                if lane.thread.ident is None and not self._closed:
                    lane.thread.start()


@dataclass(eq=False)
class _Lane:
    """A thread and the process that it feeds from a queue."""

    pool: GradingPool
    queue: FairQueue
    process: GradingProcess

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.run, name="grading", daemon=True)

    def run(self) -> None:
        try:
            while (comparison := self.queue.take()) is not None:
                self.pool.serve(comparison, self.process, self.queue)
        finally:
            self.process.close()
