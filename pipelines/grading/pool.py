"""Killable processes for comparisons that may hang.

Every comparison first gets a short CPU time (``QUICK_SECONDS``). A slower one yields to the others and goes to a
separate process for slow ones, with the full limit and a budget per problem, so slow answers never delay quick ones.
Every comparison is answered exactly once; it fails only if no process starts at all.
"""

import threading
import time
from collections import OrderedDict, defaultdict, deque
from concurrent.futures import Future
from dataclasses import dataclass

from stepforge.grading.gates import MAX_LENGTH
from stepforge.pipelines.grading.process import GradingProcess, NotStarted
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.rollout import Outcome

QUICK_SECONDS = 0.5
"""CPU time a comparison may take before it yields to others."""
BUDGET = 3.0
"""Total budget for one problem's slow comparisons, in multiples of the limit."""


@dataclass(frozen=True, slots=True)
class Comparison:
    problem: str
    reference: str
    answer: str
    outcome: "Future[Outcome]"

    def settle(self, outcome: Outcome | Exception) -> None:
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class FairQueue:
    """Comparisons served round robin by problem: many of one problem never delay the first of another."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Comparison]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, comparison: Comparison) -> bool:
        """Add a comparison; False where the queue is closed."""
        with self._changed:
            if not self._closed:
                self._waiting.setdefault(comparison.problem, deque()).append(comparison)
                self._changed.notify()
            return not self._closed

    def take(self) -> Comparison | None:
        """Wait for a comparison and return it; None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            problem, comparisons = self._waiting.popitem(last=False)
            comparison = comparisons.popleft()
            if comparisons:
                self._waiting[problem] = comparisons  # after all others
            return comparison

    def close(self) -> list[Comparison]:
        """End all waiting, and return what was not taken."""
        with self._changed:
            self._closed = True
            left = [comparison for problem in self._waiting.values() for comparison in problem]
            self._waiting.clear()
            self._changed.notify_all()
            return left


class GradingPool:
    """``processes`` workers, started with the first comparison; ``limit_seconds`` is wall-clock, for each."""

    def __init__(self, *, processes: int, limit_seconds: float, quick_seconds: float = QUICK_SECONDS) -> None:
        self._quick, self._slow = FairQueue(), FairQueue()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._budget = BUDGET * limit_seconds
        limits = [(self._quick, min(quick_seconds, limit_seconds))] * processes + [(self._slow, limit_seconds)]
        self._processes = [GradingProcess(processor_seconds=quick, seconds=limit_seconds) for _, quick in limits]
        self._threads = [
            threading.Thread(target=self._serve, args=(queue, process), name="grading", daemon=True)
            for (queue, _), process in zip(limits, self._processes, strict=True)
        ]
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, problem: str, reference: str, answer: str) -> "Future[Outcome]":
        """Queue a comparison; its future fails (``RunFailed``) only if no process starts.

        Raises:
            RuntimeError: the pool is closed.
        """
        comparison = Comparison(problem, reference, answer, Future())
        if self._closed:
            raise RuntimeError("the grading pool is closed")
        if max(len(reference), len(answer)) > MAX_LENGTH:
            comparison.settle("undetermined")
        else:
            self._put(comparison, self._quick, self._threads[:-1])
        return comparison.outcome

    def _put(self, comparison: Comparison, queue: FairQueue, threads: list[threading.Thread]) -> None:
        with self._lock:
            for thread in threads:
                if thread.ident is None and not self._closed:
                    thread.start()
        if not queue.put(comparison):
            comparison.settle("undetermined")

    def _serve(self, queue: FairQueue, process: GradingProcess) -> None:
        try:
            while (comparison := queue.take()) is not None:
                self._compare(comparison, process, slow=queue is self._slow)
        finally:
            process.close()

    def _compare(self, comparison: Comparison, process: GradingProcess, *, slow: bool) -> None:
        if slow and self._spent[comparison.problem] >= self._budget:
            comparison.settle("undetermined")
            return
        began = time.monotonic()
        try:
            outcome = process.ask(comparison.reference, comparison.answer)
        except NotStarted:
            failure = RunFailed("the grading process does not start; try `stepforge doctor`")
            comparison.settle("undetermined" if process.ended else failure)
            return
        if slow:
            self._spent[comparison.problem] += time.monotonic() - began
        if outcome is None and not slow:
            self._put(comparison, self._slow, self._threads[-1:])  # where it does not delay quick ones
        else:
            comparison.settle(outcome or "undetermined")

    def close(self) -> None:
        """End all processes; what is still queued becomes ``undetermined``. Blocks until they are gone."""
        with self._lock:
            self._closed = True
        left = [comparison for queue in (self._quick, self._slow) for comparison in queue.close()]
        for process in self._processes:
            process.interrupt()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for comparison in left:
            comparison.settle("undetermined")
