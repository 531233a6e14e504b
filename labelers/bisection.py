"""Bisection for the first error: the one loop that OmegaPRM, AMCS, EpicPRM and SPRT share."""

from collections.abc import Awaitable, Callable

from stepforge.labelers.evidence.store import Trajectory
from stepforge.labelers.labeling import no_verdict
from stepforge.schemas.labeled import Verdict

Alive = Callable[[int], Awaitable[bool | None]]
"""Whether a prefix of this many steps can still reach the answer; None if unknown."""


async def bisect(right: int, wrong: int, alive: Alive, first: int | None = None) -> tuple[int | None, int]:
    """Return (0-based first error, steps of the last prefix asked).

    ``right`` steps are known to be right and the prefix of ``wrong`` steps is known to be lost; neither is asked about.
    ``first`` is where to ask first, instead of the middle. The error is None if a question on the way has no answer.
    """
    asked, middle = right, first
    while wrong - right > 1:
        asked = (right + wrong) // 2 if middle is None else min(max(middle, right + 1), wrong - 1)
        middle = None
        answer = await alive(asked)
        if answer is None:
            return None, asked
        right, wrong = (asked, wrong) if answer else (right, asked)
    return wrong - 1, asked


async def bisected(name: str, path: Trajectory, alive: Alive, first: int | None = None) -> Verdict:
    """Return a labeler's verdict on a wrong solution, of which nothing is known."""
    error, asked = await bisect(0, len(path.steps), alive, first)
    return no_verdict(name, asked - 1) if error is None else Verdict(labeler=name, first_error=error)
