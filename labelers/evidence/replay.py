"""Evidence stored with a labeled problem, to look at again or to continue sampling from."""

from collections.abc import Sequence

from stepforge.labelers.evidence.store import Evidence
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Grader, Policy, Sampling
from stepforge.schemas.rollout import Outcome, PolicyIdentity, Rollout, SolvedProblem, Step


class _Nobody:
    """Stands in for the policy and grader of the original run."""

    def __init__(self, identity: PolicyIdentity) -> None:
        self.identity = identity

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        raise RuntimeError("stored evidence cannot grow")

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        raise RuntimeError("stored evidence cannot grow")

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Outcome]:
        raise RuntimeError("stored evidence cannot grow")


def solved_part(row: LabeledProblem) -> SolvedProblem:
    """Return the problem as it was before it was labeled."""
    rollouts = tuple(s.rollout for s in row.solutions)
    return SolvedProblem(problem=row.problem, rollouts=rollouts, policy=row.policy, own=row.own)


def stored_evidence(row: LabeledProblem) -> Evidence:
    """Return the evidence of a labeled problem."""
    nobody = _Nobody(row.completer or row.policy)
    return _filled(Evidence(solved_part(row), nobody, nobody, 0), row)


def growing_evidence(row: LabeledProblem, policy: Policy, grader: Grader, seed: int) -> Evidence:
    """Return the evidence of a labeled problem, to continue sampling where labeling ended."""
    return _filled(Evidence(solved_part(row), policy, grader, seed), row)


def _filled(evidence: Evidence, row: LabeledProblem) -> Evidence:
    steps = {solution.rollout.id: solution.rollout.steps for solution in row.solutions}
    for rollout in row.evidence:
        start = rollout.start
        before = () if start is None or start.steps == 0 else steps[start.rollout][: start.steps]
        evidence.add(rollout, before)
        steps[rollout.id] = (*before, *rollout.steps)
    return evidence
