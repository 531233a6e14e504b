"""SCAN (arXiv 2509.16548, released code): label only what the policy is confident about; normalize by that confidence.

``confidence_samples`` completions of the question give the self-confidence SC. Below ``confidence`` the problem is
skipped; above it right solutions are assumed to have no error, and wrong ones are walked from the front. The two steps
before the error get min(1, (c/k) / SC): the ``scan`` rule in ``labelers.rules``. All samples are charged.
"""

from typing import Literal

from pydantic import Field

from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory
from stepforge.labelers.labeling import LabelPart, abstention, label_wrong, labeled_problem
from stepforge.labelers.sequential import Sequential
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import SolvedProblem

UNSURE = "self-confidence below the threshold"


class SCAN(LabelPart):
    """Self-confidence first, then a walk."""

    kind: Literal["scan"] = "scan"
    k: int = Field(default=8, ge=1, le=10_000)
    """Completions at each step."""
    confidence: float = Field(default=0.75, ge=0, le=1)
    confidence_samples: int = Field(default=128, ge=1)
    """Completions of the question, the given solutions included."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        evidence = Evidence(solved, policy, grader, seed)
        confidence = (await evidence.measure(QUESTION, 0, self.confidence_samples)).value
        if confidence is None or confidence < self.confidence:
            unsure = abstention(self.name, UNSURE)
            return labeled_problem(self.name, solved, [unsure] * len(solved.rollouts), evidence)
        walk = Sequential(k=self.k, curtailed=False)

        async def search(path: Trajectory) -> Verdict:
            return (await walk.search(path, evidence)).model_copy(update={"labeler": self.name})

        return await label_wrong(self.name, solved, evidence, search)
