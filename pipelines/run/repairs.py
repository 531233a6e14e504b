"""A wrong program's failure is fed back and the policy repairs it; both turns are kept with the solution."""

import asyncio
from collections.abc import Sequence

from stepforge.generators.policy import PromptedPolicy, complete_each
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.control_tokens import SpecialToken
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Message, Prompt
from stepforge.schemas.rollout import Repair, Rollout
from stepforge.schemas.seeds import seed_of


async def with_repairs(
    problem: Problem, rollouts: Sequence[Rollout], policy: PromptedPolicy, grader: PooledGrader, *, seed: int
) -> list[Rollout]:
    """Return the rollouts; a wrong one whose verifier gave a reason carries the policy's repair."""

    async def one(rollout: Rollout) -> Rollout:
        if rollout.outcome != "wrong" or rollout.answer is None:
            return rollout
        (ruling,) = await grader.rulings(problem, [rollout.answer])
        if not ruling.message:
            return rollout
        try:
            repair = await mend(policy, problem, rollout, ruling.message, seed=seed_of(seed, "repair", rollout.id))
        except SpecialToken:  # the program printed a control token; it cannot be shown to the policy
            return rollout
        if repair.finish == "stop":
            (outcome,) = await grader.grade(problem, [policy.answer(problem, repair.text)])
            repair = repair.model_copy(update={"outcome": outcome})
        return rollout.model_copy(update={"repair": repair})

    return list(await asyncio.gather(*map(one, rollouts)))


async def mend(policy: PromptedPolicy, problem: Problem, rollout: Rollout, message: str, *, seed: int) -> Repair:
    told = (policy.settings.repair or "{message}").replace("{message}", message)
    policy.check_plain(told)
    turns = (
        *policy.turns(problem.question.strip()),
        Message(role="assistant", content=rollout.text),
        Message(role="user", content=told),
    )
    if policy.settings.chat:
        prompt = Prompt(text=policy.engine.chat(turns), turns=turns)
        prompt = prompt.model_copy(update={"token_ids": policy.engine.encode_prompt(prompt.text, bos=False)})
    else:
        before = policy.prompt(problem, rollout.steps)
        ids = (*before.token_ids, *policy.engine.encode(told)) if before.token_ids else ()
        prompt = before.model_copy(update={"text": before.text + told, "token_ids": ids})
    (done,) = await complete_each(policy.engine, prompt, n=1, seed=seed, sampling=policy.sampling)
    return Repair(
        message=message,
        prompt=prompt.text,
        text=done.text,
        outcome="undetermined",
        finish=done.finish,
        tokens=done.tokens,
        prompt_tokens=done.prompt_tokens,
        cached_tokens=done.cached_tokens,
    )
