"""Outcomes that a verifier decides: by tests or a user's own rule, in the sandbox, each called once."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from stepforge.pipelines.sandbox.sandbox import NoIsolation, Question, Ruling, Sandbox
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.problem import Problem

REMEMBERED = 20_000
"""Number of rulings cached for repeated solutions: many rollouts of an easy problem are identical."""


class VerifierCalls:
    """Asks the verifiers of problems; starts nothing before the first question, and belongs to no event loop."""

    def __init__(self, processes: int) -> None:
        self._sandbox = Sandbox(processes)
        self._known: OrderedDict[tuple[str, str], Future[Ruling]] = OrderedDict()

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

    async def run(self, program: str) -> str | None:
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
        await self._sandbox.close()

    def _asked(self, problem: Problem, solution: str) -> "Future[Ruling]":
        if problem.verifier is None:
            raise ValueError(f"{problem.id} has no verifier")
        key = (problem.id, solution)
        known = self._known.get(key)
        if known is None or (known.done() and _is_open(known)):
            kept = {column.name: column.value for column in problem.kept}
            question = Question(question=problem.question, solution=solution, kept=kept)
            known = self._known[key] = self._sandbox.ask(problem.verifier, question)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known


def _is_open(ruling: "Future[Ruling]") -> bool:
    """Whether it is worth asking again: it failed, or said nothing."""
    return ruling.cancelled() or ruling.exception() is not None or ruling.result().outcome == "undetermined"
