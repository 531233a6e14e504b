"""Cold start: problems that the policy almost never solves, started for it from a reference solution.

The reverse curriculum of arXiv 2402.05808: the policy is given the beginning of a reference solution, one step less at
a time, as long as it still succeeds often enough. Its continuations of the shortest such beginning are labeled.
"""

from typing import Literal

from pydantic import Field

from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.generators.written.source import Attempt, ModelSource, Refused, Seeds, check_answered
from stepforge.grading.outcomes import graded
from stepforge.schemas.labeled import Cost
from stepforge.schemas.problem import Lineage, Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import seed_of


class Prefixes(ModelSource):
    """Supplies seeds with the policy's endings of their reference solution: a family's own, or a set's first."""

    kind: Literal["prefixes"] = "prefixes"
    name: str = "prefixes"
    completions: int = Field(default=4, ge=2)
    """Endings from each beginning."""
    min_pass_rate: float = Field(default=0.25, gt=0, le=1)
    """Least share of the endings that must be right."""

    async def make(self, row: int, seeds: Seeds, policy: PromptedPolicy, grader: Grader, *, seed: int) -> Attempt:
        problem = seeds.seed.problem
        reference = _reference(seeds.seed)
        if reference is None or problem.answer is None:
            return Attempt(Refused("no reference solution or answer to start from"))
        policy.check_plain(problem.question + reference)
        steps, cost = policy.adopt(reference), Cost()
        found: tuple[int, list[Rollout]] | None = None
        for count in range(len(steps) - 1, -1, -1):
            place = seed_of(seed, self.name, row, count)
            ways = await policy.sample(problem, steps[:count], n=self.completions, seed=place)
            ways = await graded(problem, ways, grader)
            check_answered(ways)
            cost += Cost.of(ways)
            if sum(way.outcome == "correct" for way in ways) < self.min_pass_rate * len(ways):
                break
            found = count, ways
        if found is None:
            return Attempt(Refused("not solved even from before its last step"), cost)
        if not found[0]:
            return Attempt(Refused("solved without help"), cost)
        return Attempt(self._item(problem, steps[: found[0]], found[1], len(steps), row), cost)

    def _item(self, problem: Problem, begun: tuple[Step, ...], ways: list[Rollout], of: int, row: int) -> SourceItem:
        finished = [way for way in ways if way.outcome != "undetermined"]
        lineage = Lineage(
            parents=(problem.id,),
            way=f"prefix of {len(begun)} of {of} steps",
            settled_by="reference",
            agreement=sum(way.outcome == "correct" for way in ways) / len(ways),
            solutions=len(ways),
        )
        opening = "".join(step.text for step in begun)
        return self.item(row, problem, lineage, (opening + way.text for way in finished))


def _reference(seed: SourceItem) -> str | None:
    if seed.solutions:
        return seed.solutions[0].text or "".join(seed.solutions[0].steps)
    return seed.problem.reference_solution
