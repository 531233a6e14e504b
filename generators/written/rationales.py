"""Solutions written by a model that is given the answer (STaR, arXiv 2203.14465), kept if they hold without it.

A rationale that works backwards from the answer looks sound and proves nothing. So it must not state the answer in its
first half, and the policy, which does not know the answer, must reach it from that half.
"""

import re
from typing import Literal

from pydantic import Field

from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.written.source import Attempt, ModelSource, Refused, Seeds, check_answered
from stepforge.grading.outcomes import graded
from stepforge.schemas.labeled import Cost
from stepforge.schemas.problem import Lineage, Problem
from stepforge.schemas.protocols import Grader, Sampling
from stepforge.schemas.rollout import Step
from stepforge.schemas.seeds import seed_of

TEMPLATE = """{question}

The answer is {answer}. Write the solution of somebody who works it out step by step and does not know the answer \
beforehand: begin from what is given, put one step on each line, and end with a line "Answer: {answer}"."""


class Rationales(ModelSource):
    """Supplies seeds with a solution written by the ``judge`` engine, else by the policy's model, from the answer."""

    kind: Literal["rationales"] = "rationales"
    name: str = "rationales"
    template: str = TEMPLATE
    """Holds ``{question}`` and ``{answer}``."""
    chat: bool = True
    """Whether the request is sent through the model's chat template."""
    temperature: float = Field(default=0.8, ge=0, le=2)
    max_tokens: int = Field(default=512, ge=1, le=10_000_000)
    completions: int = Field(default=4, ge=1)
    """Continuations from half-way, by the policy and without the answer."""
    min_reached: float = Field(default=0.5, gt=0, le=1)
    """Least share of them that must reach the answer."""

    async def make(self, row: int, seeds: Seeds, policy: PromptedPolicy, grader: Grader, *, seed: int) -> Attempt:
        problem = seeds.seed.problem
        if problem.answer is None:
            return Attempt(Refused("no answer to reason toward"))
        policy.check_plain(problem.question)
        prompt = self.template.replace("{question}", problem.question.strip()).replace("{answer}", problem.answer)
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        place = seed_of(seed, self.name, row)
        (reply,) = await policy.ask(prompt, n=1, seed=place, sampling=sampling, chat=self.chat)
        check_answered([reply])
        cost, text = Cost.of([reply]), reply.text.strip()
        steps = policy.adopt(text) if text else ()
        fault = "cut short" if reply.finish != "stop" else await _fault(problem, steps, policy, grader)
        if fault:
            return Attempt(Refused(fault, text), cost)
        half = steps[: (len(steps) + 1) // 2]
        ways = await graded(problem, await policy.sample(problem, half, n=self.completions, seed=place), grader)
        check_answered(ways)
        cost += Cost.of(ways)
        reached = sum(way.outcome == "correct" for way in ways) / len(ways)
        if reached < self.min_reached:
            return Attempt(Refused("its first half does not lead to the answer", text), cost)
        lineage = Lineage(
            parents=(problem.id,),
            way="rationale",
            settled_by="agreement, expected",
            agreement=reached,
            solutions=len(ways),
        )
        return Attempt(self.item(row, problem, lineage, [text]), cost)


async def _fault(problem: Problem, steps: tuple[Step, ...], policy: PromptedPolicy, grader: Grader) -> str:
    """Return the first fault that needs no model to see; empty if there is none."""
    if len(steps) < 2:
        return "has no steps"
    (outcome,) = await grader.grade(problem, [policy.answer(problem, "".join(step.text for step in steps))])
    if outcome != "correct":
        return "does not end at the answer"
    opening = "".join(step.text for step in steps[: (len(steps) + 1) // 2])
    told = problem.answer or ""
    too_early = _states(opening, told) and not _states(problem.question, told)
    return "states the answer before it is reached" if too_early else ""


def _states(text: str, answer: str) -> bool:
    """Whether an answer occurs in a text by itself, not as part of a longer number or word."""
    return re.search(rf"(?<![^\W_]){re.escape(answer)}(?![^\W_])", text) is not None
