"""``answer_likelihood``: where the right answer becomes unlikely and the solution's own answer likely, without sampling.

After CPMI (arXiv 2604.10660): at each prefix the model reads "the final answer is", then the reference or the answer
that the solution gives, and says how likely each is. The step with the largest fall of log p(reference) - log p(own) is
named. CPMI contrasts with four wrong answers and keeps the changes as rewards; here the wrong answer is the solution's
own, and only the first error is kept. It reads 2 (T + 1) prompts for T steps and generates nothing of use.
"""

import asyncio
from itertools import pairwise
from typing import Literal

from stepforge.labelers.labeling import TRUNCATED, LabelPart, completion_cost, labeled_problem
from stepforge.schemas.labeled import Cost, LabeledProblem, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Grader, Policy
from stepforge.schemas.rollout import Rollout, SolvedProblem

NO_ANSWER = "there is no reference answer, or none of the solution, to compare"


class AnswerLikelihood(LabelPart):
    """Reads how likely the right answer and the solution's own are after each step; samples nothing."""

    kind: Literal["answer_likelihood"] = "answer_likelihood"
    lead: str = "Therefore, the final answer is \\boxed{"
    """Stands before the answer, on a line of its own."""
    close: str = "}"
    """Stands after the answer, so that 1 is not the beginning of 12."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        results = await asyncio.gather(*(self._judge(solved.problem, rollout, policy) for rollout in solved.rollouts))
        cost = sum((cost for _, cost in results), Cost())
        return labeled_problem(self.name, solved, [verdict for verdict, _ in results], None, cost)

    async def _judge(self, problem: Problem, rollout: Rollout, policy: Policy) -> tuple[Verdict, Cost]:
        if rollout.outcome == "undetermined" or not rollout.steps:
            return self._abstain(TRUNCATED), Cost()
        if rollout.outcome == "correct":
            return Verdict(labeler=self.name, first_error=None), Cost()
        if problem.answer is None or rollout.answer is None or problem.verifier is not None:
            return self._abstain(NO_ANSWER), Cost()
        places = range(len(rollout.steps) + 1)
        rows = [self._read(problem, rollout, t, answer, policy) for t in places for answer in (problem.answer, rollout.answer)]
        read = await asyncio.gather(*rows)
        failed = next((c.error for c in read if c.finish == "error"), None)
        if failed is not None:
            return self._abstain(failed), completion_cost(read)
        sums = [sum(c.logprobs) for c in read]
        ahead = [right - own for right, own in zip(sums[::2], sums[1::2], strict=True)]
        changes = [after - before for before, after in pairwise(ahead)]
        return Verdict(labeler=self.name, first_error=changes.index(min(changes))), completion_cost(read)

    async def _read(self, problem: Problem, rollout: Rollout, count: int, answer: str, policy: Policy) -> Completion:
        prefix = rollout.steps[:count]
        line = "" if not prefix or prefix[-1].text.endswith("\n") else "\n"
        return await policy.likelihood(problem, prefix, line + self.lead, answer + self.close)

    def _abstain(self, reason: str) -> Verdict:
        return Verdict(labeler=self.name, first_error=None, abstained=True, reason=reason)
