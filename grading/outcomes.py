"""The outcome of a finished rollout: the one place where the three outcomes are decided."""

from collections.abc import Sequence

from stepforge.grading.final_answer import cut_off
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.rollout import Outcome, Rollout, Start


async def graded(
    problem: Problem, rollouts: Sequence[Rollout], grader: Grader, start: Start | None = None, *, supplied: bool = False
) -> list[Rollout]:
    """Return the rollouts with their outcomes, and with the prefix that they start from.

    An engine error or a truncation, which some servers call a ``stop``, is ``undetermined``: it says nothing about the
    steps before it. A rollout that was seen to end by itself without an answer is ``wrong``; a ``supplied`` one may
    have been cut off by whoever had it written. The grader decides everything else.
    """
    finished = [r.answer for r in rollouts if r.finish == "stop" and r.answer is not None]
    outcomes = iter(await grader.grade(problem, finished))

    def outcome(rollout: Rollout) -> Outcome:
        if rollout.finish == "stop" and rollout.answer is not None:
            return next(outcomes)
        whole = rollout.finish == "stop" and not supplied and not cut_off(rollout.text)
        return "wrong" if whole else "undetermined"

    return [r.model_copy(update={"start": start, "outcome": outcome(r)}) for r in rollouts]
