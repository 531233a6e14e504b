"""Math-Shepherd (arXiv 2312.08935, section 3.2): ``k`` completions at every step.

Hard estimation, equation 3: a step is right if any of its completions ends at the reference answer; soft
estimation, equation 4: the share that does. Both are views of the counts kept here. The first error is the first
step whose hard label is False.

``curtailed`` stops at a step's first success: the hard labels have the same distribution, the counts no longer give
soft ones without a prior. ``shared = false`` samples separately for every solution, as the literature charges brute
force.
"""

import asyncio
from typing import Literal

from pydantic import Field

from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory
from stepforge.labelers.labeling import LabelPart, label_wrong, no_verdict, own_outcome
from stepforge.schemas.labeled import LabeledProblem, StepLabel, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import SolvedProblem


class MathShepherd(LabelPart):
    """Brute force: the reference that cheaper labelers are measured against."""

    kind: Literal["math_shepherd"] = "math_shepherd"
    k: int = Field(default=8, ge=1, le=10_000)
    """Completions at each step (the paper's N, 8)."""
    curtailed: bool = False
    """Whether a step's first success ends its completions."""
    shared: bool = True
    """Whether solutions that begin alike share the completions of their common steps."""
    root: int = Field(default=0, ge=0)
    """Completions to draw of the bare question too, the solutions included."""
    right_solutions: bool = True
    """Whether to check the steps of solutions with a right answer too; if not, they count as right."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        evidence = Evidence(solved, policy, grader, seed, shared=self.shared)
        if self.root:
            await evidence.measure(QUESTION, 0, self.root)

        async def search(path: Trajectory) -> Verdict:
            counts = range(1, len(path.steps))
            settling = (evidence.settle(path, count, self.k, curtailed=self.curtailed) for count in counts)
            return first_hard_error(self.name, [*await asyncio.gather(*settling), own_outcome(path)])

        return await label_wrong(self.name, solved, evidence, search, right_too=self.right_solutions)


def first_hard_error(name: str, labels: list[StepLabel]) -> Verdict:
    """Return the first step without a success; abstain where a step before it has no verdict at all."""
    for index, label in enumerate(labels):
        if label.hard is None:
            return no_verdict(name, index)
        if not label.hard:
            return Verdict(labeler=name, first_error=index)
    return Verdict(labeler=name, first_error=None)
