"""Comparisons that wait, served round robin by problem: many of one problem never delay the first of another."""

import threading
from collections import OrderedDict, deque
from concurrent.futures import Future
from dataclasses import dataclass

from stepforge.schemas.rollout import Outcome


@dataclass(frozen=True, slots=True)
class Comparison:
    """A requested comparison, and where its outcome goes."""

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
    """Queues comparisons, and yields one of each problem, round robin."""

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
            while not self._waiting and not self._closed:
                self._changed.wait()
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
