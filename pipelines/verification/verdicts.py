"""Verdicts on responses, for reinforcement learning: three outcomes, and a limit on everything.

A timeout, a full queue, a hostile answer or a broken verifier is ``undetermined``, never 0.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from stepforge.grading.final_answer import answer_in_words, extract_answer, reference_answer
from stepforge.grading.last_resort import OR_RATHER
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.problem import AnswerKind, Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome

UNDETERMINED_REWARD = 0.5
"""For loops that take only numbers: halfway between right and wrong; better left out of the loss."""
TURN = 64
"""Items after which other requests get a turn."""
RESPONSE_CHARACTERS = 200_000
"""Longest response that is read."""


class Item(Record):
    response: str
    reference: str
    """The right answer, plain or at the end of a worked solution."""
    question: str = ""
    kind: AnswerKind = "math"


class Verified(Record):
    outcome: Outcome
    extracted: str | None = None
    """The answer that was found in the response."""
    reason: str | None = None
    """Why it is undetermined, if known."""

    @property
    def reward(self) -> float | None:
        """1 for right, 0 for wrong and for a sentence that names several values, None for undetermined."""
        if self.outcome == "undetermined" and self.extracted is not None and OR_RATHER in self.extracted:
            return 0.0  # a policy must not learn to list candidates
        return {"correct": 1.0, "wrong": 0.0}.get(self.outcome)


class VerifierLimits(Record):
    items: int = Field(default=1024, ge=1)
    """Items in a request."""
    seconds: float = Field(default=10.0, gt=0)
    """Time for a whole request; anything undecided by then is undetermined."""


class Verifier(Protocol):
    async def verify(self, items: Sequence[Item], *, client: str, seconds: float) -> list[Verified]:
        """Return a verdict for each item, after at most ``seconds``; ``client`` is the scheduling group."""
        ...

    async def close(self) -> None: ...


class AnswerVerifier:
    """Compares final answers with our grader; implements ``Verifier``."""

    def __init__(self) -> None:
        # After ``quick_seconds`` of CPU time a symbolic comparison yields to other clients'.
        self._grader = PooledGrader(processes=1, limit_seconds=3.0, quick_seconds=0.1)

    async def verify(self, items: Sequence[Item], *, client: str, seconds: float) -> list[Verified]:
        tasks, deadline = [], asyncio.get_running_loop().time() + seconds
        for number, item in enumerate(items):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            tasks.append(self._begun(item, client))
        return [one if isinstance(one, Verified) else await _by(one, deadline) for one in tasks]

    async def close(self) -> None:
        await self._grader.close()

    def _begun(self, item: Item, client: str) -> "Verified | asyncio.Task[Verified]":
        """Return the verdict if it is available immediately, else the task that finds it."""
        if len(item.response) > RESPONSE_CHARACTERS:
            reason = f"the response has more than {RESPONSE_CHARACTERS} characters"
            return Verified(outcome="undetermined", reason=reason)
        try:
            worded = item.kind == "text"
            extracted = answer_in_words(item.response, item.reference) if worded else extract_answer(item.response)
            reference = item.reference if item.kind in ("choice", "text") else reference_answer(item.reference)
        except Exception as error:  # whatever a response breaks, that does not make it wrong
            return Verified(outcome="undetermined", reason=type(error).__name__)
        if reference is None:
            return Verified(outcome="undetermined", extracted=extracted, reason="the reference names no answer")
        if extracted is None:
            return Verified(outcome="wrong")
        problem = Problem(
            id=client,
            source="request",
            domain="request",
            question=item.question,
            answer=reference,
            answer_kind=item.kind,
            group="request",
        )
        pending = self._grader.begin(problem, extracted)
        if isinstance(pending, str):
            return Verified(outcome=pending, extracted=extracted)
        return asyncio.ensure_future(_settled(asyncio.wrap_future(pending), extracted))


async def _settled(outcome: "asyncio.Future[Outcome]", extracted: str) -> Verified:
    try:
        return Verified(outcome=await asyncio.shield(outcome), extracted=extracted)
    except (RunFailed, RuntimeError) as error:
        return Verified(outcome="undetermined", extracted=extracted, reason=str(error))


async def _by(task: "asyncio.Task[Verified]", deadline: float) -> Verified:
    left = deadline - asyncio.get_running_loop().time()
    done, _ = await asyncio.wait([task], timeout=max(0.0, left))
    if done:
        return task.result()
    task.cancel()
    return Verified(outcome="undetermined", reason="the request timed out")
