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
from stepforge.pipelines.sandbox.sandbox import NoIsolation, Question, Ruling, Sandbox
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Outcome

REMEMBERED = 100_000
"""Number of verdicts cached for repeated answers."""
RULINGS = 20_000
"""Number of verifiers' rulings cached for repeated solutions: many rollouts of an easy problem are identical."""


class PooledGrader(AbstractAsyncContextManager["PooledGrader"]):
    """Implements ``schemas.protocols.Grader``; belongs to no event loop, and may be shared by many tasks."""

    def __init__(self, *, processes: int = 1, limit_seconds: float = 6.0, quick_seconds: float = QUICK_SECONDS) -> None:
        """Start nothing yet. ``limit_seconds`` is the wall-clock limit of one symbolic comparison; ``quick_seconds`` is
        the CPU time after which it yields to others."""
        self._pool = GradingPool(processes=processes, limit_seconds=limit_seconds, quick_seconds=quick_seconds)
        self._sandbox = Sandbox(max(2, processes))
        self._verdicts: OrderedDict[tuple[str, str], Future[Outcome]] = OrderedDict()
        self._rulings: OrderedDict[tuple[str, str], Future[Ruling]] = OrderedDict()

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

    async def rulings(self, problem: Problem, solutions: Sequence[str | None]) -> list[Ruling]:
        """Return the outcome of each program or solution and its reason, which may be shown to a policy."""
        pending = [None if solution is None else self._asked(problem, solution) for solution in solutions]
        try:
            return [
                Ruling("undetermined") if one is None else await asyncio.shield(asyncio.wrap_future(one))
                for one in pending
            ]
        except NoIsolation as error:
            raise RunFailed(str(error)) from error

    async def run_python(self, program: str) -> str | None:
        """Return the value of a program's last expression, else what it printed or why it failed.

        None if it was stopped or died: on a busy machine that says nothing about the program.
        """
        try:
            ran = await self._sandbox.run(program)
        except NoIsolation as error:
            raise RunFailed(str(error)) from error
        if ran.status == "error":
            return (ran.error.strip().splitlines() or ["error"])[-1]
        return (ran.value or ran.output or "None") if ran.status == "done" else None

    async def close(self) -> None:
        """End the processes; what is still being compared becomes ``undetermined``."""
        await self._sandbox.close()
        await asyncio.to_thread(self._pool.close)

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _asked(self, problem: Problem, solution: str) -> "Future[Ruling]":
        if problem.verifier is None:
            raise ValueError(f"{problem.id} has no verifier")
        key = (problem.id, solution)
        known = self._rulings.get(key)
        if known is None or (known.done() and _is_open(known)):
            kept = {column.name: column.value for column in problem.kept}
            question = Question(question=problem.question, solution=solution, kept=kept)
            known = self._rulings[key] = self._sandbox.ask(problem.verifier, question)
            if len(self._rulings) > RULINGS:
                self._rulings.popitem(last=False)
        return known


def _is_open(ruling: "Future[Ruling]") -> bool:
    """Whether it is worth asking again: it failed, or said nothing."""
    return ruling.cancelled() or ruling.exception() is not None or ruling.result().outcome == "undetermined"
