"""Pairs of when to call: the policy calls, or guesses; labelers that continue from prefixes call as well."""

import asyncio
from random import Random

from fakes import EqualGrader, NamedEngine, solved

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.grading.outcomes import graded
from stepforge.labelers import Contrast, OmegaPRM, label_with_all
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.exports import StepPreference
from stepforge.schemas.problem import Problem, Quantity, Truth
from stepforge.schemas.protocols import Completion, Prompt, Sampling

SUM, PRODUCT = "12 + 3", "24 * 37"
PROBLEM = Problem(
    id="t",
    source="tools",
    domain="tools",
    question="Q?",
    answer="888",
    answer_kind="integer",
    group="g",
    truth=Truth(
        quantities=(
            Quantity(name="Ann", expression=SUM, value="15"),
            Quantity(name="Bob", expression=PRODUCT, value="888"),
        ),
        reading="calls",
        calls=1,
    ),
)


class Wavering(NamedEngine):
    """Sometimes calls for the sum, which needs no call, and sometimes guesses the product, which does."""

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        rng, written = Random(seed), prompt.text.partition("\n")[2]
        text = ""
        if not written:
            text = f"Ann = <<{SUM}" if rng.random() < 0.4 else f"Ann = {SUM} = 15\n"
        if "<<" not in text and "Bob" not in written:
            text += f"Bob = <<{PRODUCT}" if rng.random() < 0.6 else f"Bob = {PRODUCT} = 878\n"
        if "<<" not in text:
            answer = (written + text).split()[-1] if "calls" not in written else "870"
            text += f"Answer: {answer}"
        return Completion(text=text, finish="stop", tokens=len(text))


def test_a_needed_call_is_preferred_to_a_guess_and_no_call_to_a_needless_one() -> None:
    policy = PromptedPolicy(Wavering(), PolicySettings(tool="calculator", answer="stated"))

    async def labeled() -> list[tuple[str, str]]:
        rollouts = await graded(PROBLEM, await policy.sample(PROBLEM, (), n=12, seed=3), EqualGrader())
        assert {r.outcome for r in rollouts} == {"correct", "wrong"}
        row = solved(*rollouts, problem=PROBLEM)
        parts = (OmegaPRM(k=24, grow=False), Contrast())
        problem = await label_with_all(parts, row, policy, EqualGrader(), seed=1)
        for solution in problem.solutions:
            error = solution.verdict.first_error
            assert error == oracle_verdict(PROBLEM, solution.rollout).first_error
            assert error is None or solution.rollout.steps[error].author == "policy"
        assert any(step.author == "tool" for rollout in problem.evidence for step in rollout.steps)
        return [(pair.chosen, pair.rejected) for pair in StepPreference(max_per_problem=99).rows(problem)]

    pairs = set(asyncio.run(labeled()))
    assert (f"Bob = <<{PRODUCT}>>", f"Bob = {PRODUCT} = 878\n") in pairs
    assert (f"Ann = {SUM} = 15\n", f"Ann = <<{SUM}>>") in pairs
