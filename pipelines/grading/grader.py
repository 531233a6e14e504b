"""The grader: exact comparisons immediately, all others in killable processes, verifiers in isolation.

A timeout, a crash, a refused or a missing answer is ``undetermined``, never evidence against a step. The processes
start with the first comparison that needs one, and none outlives ``close``.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager

from stepforge.grading.puzzles import plan_outcome
from stepforge.grading.verdict import decide
from stepforge.pipelines.grading.pool import QUICK_SECONDS, GradingPool
from stepforge.pipelines.grading.verifier_calls import VerifierCalls
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Outcome

REMEMBERED = 100_000
"""Number of verdicts cached for repeated answers."""


class PooledGrader(AbstractAsyncContextManager["PooledGrader"]):
    """Implements ``schemas.protocols.Grader``; belongs to no event loop, and may be shared by many tasks."""

    def __init__(self, *, processes: int = 1, limit_seconds: float = 6.0, quick_seconds: float = QUICK_SECONDS) -> None:
        """Start nothing yet. ``limit_seconds`` is the wall-clock limit of one symbolic comparison; ``quick_seconds`` is
        the CPU time after which it yields to others."""
        self._pool = GradingPool(processes=processes, limit_seconds=limit_seconds, quick_seconds=quick_seconds)
        self._verifiers = VerifierCalls(processes=max(2, processes))
        self.rulings, self.run_python = self._verifiers.rulings, self._verifiers.run
        self._verdicts: OrderedDict[tuple[str, str], Future[Outcome]] = OrderedDict()

    @property
    def process_ids(self) -> list[int]:
        return self._pool.process_ids

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Outcome]:
        """Return an outcome for each answer.

        Without a reference, for an answer of None, or past a limit it is ``undetermined``.

        Raises:
            RuntimeError: the grader is closed, and an answer needs a process.
            RunFailed: an answer needs a process, and none starts.
            RunFailed: a verifier needs isolation that is missing.
        """
        if problem.verifier is not None:
            return [ruling.outcome for ruling in await self.rulings(problem, answers)]
        pending = [self.begin(problem, answer) for answer in answers]
        return [await asyncio.shield(asyncio.wrap_future(p)) if isinstance(p, Future) else p for p in pending]

    def begin(self, problem: Problem, answer: str | None) -> "Outcome | Future[Outcome]":
        """Return the outcome if it is available immediately, else a future from a process; see ``grade``."""
        if problem.answer_kind == "plan" and answer is not None:
            return plan_outcome(problem.question, answer)
        outcome = decide(problem.answer, answer, problem.answer_kind)
        if outcome is not None or problem.answer is None or answer is None:
            return outcome or "undetermined"
        key = (problem.answer, answer)
        known = self._verdicts.get(key)
        if known is None or (known.done() and known.exception() is not None):
            known = self._verdicts[key] = self._pool.submit(problem.id, *key)
            if len(self._verdicts) > REMEMBERED:
                self._verdicts.popitem(last=False)
        else:
            self._verdicts.move_to_end(key)
        return known.result() if known.done() else known

    async def close(self) -> None:
        """End the processes; what is still being compared becomes ``undetermined``."""
        await self._verifiers.close()
        await asyncio.to_thread(self._pool.close)

    async def __aexit__(self, *_: object) -> None:
        await self.close()
