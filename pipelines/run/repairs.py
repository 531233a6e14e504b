"""A wrong program's failure is fed back, and the policy mends it; both turns are kept with the solution."""

import asyncio
from collections.abc import Sequence

from stepforge.generators.policy import PromptedPolicy
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.control_tokens import SpecialToken
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Repair, Rollout
from stepforge.schemas.seeds import seed_of


async def with_repairs(
    problem: Problem, rollouts: Sequence[Rollout], policy: PromptedPolicy, grader: PooledGrader, *, seed: int
) -> list[Rollout]:
    """Return the rollouts; a wrong one whose verifier said why carries what the policy answered to that."""

    async def one(rollout: Rollout) -> Rollout:
        if rollout.outcome != "wrong" or rollout.answer is None:
            return rollout
        (ruling,) = await grader.rulings(problem, [rollout.answer])
        if not ruling.message:
            return rollout
        try:
            repair = await policy.mend(problem, rollout, ruling.message, seed=seed_of(seed, "repair", rollout.id))
        except SpecialToken:  # the program printed one; it cannot be shown to the policy
            return rollout
        return rollout.model_copy(update={"repair": await _graded(problem, repair, policy, grader)})

    return list(await asyncio.gather(*map(one, rollouts)))


async def _graded(problem: Problem, repair: Repair, policy: PromptedPolicy, grader: PooledGrader) -> Repair:
    if repair.finish != "stop":
        return repair
    (outcome,) = await grader.grade(problem, [policy.answer(problem, repair.text)])
    return repair.model_copy(update={"outcome": outcome})
