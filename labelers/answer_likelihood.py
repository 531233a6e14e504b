"""``answer_likelihood``: the step that makes the right answer less likely than the solution's own; no sampling.

After CPMI (arXiv 2604.10660): at each prefix the model reads "the final answer is" and an answer, and its tokens'
log-probabilities are added up. The step with the largest fall of log p(reference) - log p(own answer) is named. CPMI
contrasts with four wrong answers and trains on the changes; here the wrong answer is the solution's own, and only the
first error is kept. A solution of T steps takes 2 (T + 1) readings, each of a whole prompt.
"""

import asyncio
from itertools import pairwise
from typing import Literal

from stepforge.labelers.labeling import TRUNCATED, LabelPart, abstention, labeled_problem
from stepforge.schemas.labeled import Cost, LabeledProblem, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import Rollout, SolvedProblem

NO_ANSWER = "no two answers to compare: a reference, and the solution's own"


class AnswerLikelihood(LabelPart):
    """Reads how likely the reference answer and the solution's own are after each step; samples nothing."""

    completes = False
    kind: Literal["answer_likelihood"] = "answer_likelihood"
    lead: str = "Therefore, the final answer is \\boxed{"
    """Text before the answer, which begins a line."""
    close: str = "}"
    """Text after the answer: without it, 12 is likely wherever 120 is."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        results = await asyncio.gather(*(self._judge(solved.problem, rollout, policy) for rollout in solved.rollouts))
        cost = sum((cost for _, cost in results), Cost())
        return labeled_problem(self.name, solved, [verdict for verdict, _ in results], None, cost)

    async def _judge(self, problem: Problem, rollout: Rollout, policy: Policy) -> tuple[Verdict, Cost]:
        if rollout.outcome == "undetermined" or not rollout.steps:
            return abstention(self.name, TRUNCATED), Cost()
        if rollout.outcome == "correct":
            return Verdict(labeler=self.name, first_error=None), Cost()
        if problem.answer is None or rollout.answer is None or problem.verifier is not None:
            return abstention(self.name, NO_ANSWER), Cost()
        asked = []
        for count in range(len(rollout.steps) + 1):
            prefix = rollout.steps[:count]
            lead = self.lead if not prefix or prefix[-1].text.endswith("\n") else f"\n{self.lead}"
            asked += [
                policy.likelihood(problem, prefix, lead, a + self.close) for a in (problem.answer, rollout.answer)
            ]
        read = await asyncio.gather(*asked)
        failure = next((c.error for c in read if c.finish == "error"), None)
        if failure is not None:
            return abstention(self.name, failure), Cost.of(read)
        chances = [sum(c.logprobs) for c in read]
        ahead = [right - own for right, own in zip(chances[::2], chances[1::2], strict=True)]
        falls = [before - after for before, after in pairwise(ahead)]
        return Verdict(labeler=self.name, first_error=falls.index(max(falls))), Cost.of(read)
