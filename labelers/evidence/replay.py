"""Evidence stored with a labeled problem, to look at again or to continue sampling from."""

from collections.abc import Iterator, Sequence

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

    async def likelihood(self, problem: Problem, prefix: Sequence[Step], lead: str, text: str) -> Completion:
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
    for prefix, rollout in completions_drawn(row):
        evidence.add(rollout, prefix)
    return evidence


def completions_drawn(row: LabeledProblem) -> Iterator[tuple[tuple[Step, ...], Rollout]]:
    """Yield the completions in the order drawn, with the prefix of each. One may start from another, as in a tree."""
    steps = {rollout.id: rollout.steps for rollout in (*(s.rollout for s in row.solutions), *row.sampled)}
    for rollout in row.evidence:
        start = rollout.start
        prefix = () if start is None or not start.steps else steps[start.rollout][: start.steps]
        steps[rollout.id] = (*prefix, *rollout.steps)
        yield prefix, rollout


def completions_by_prefix(row: LabeledProblem) -> dict[str, list[Rollout]]:
    """Return the completions by the text of their prefix, in the order drawn."""
    known: dict[str, list[Rollout]] = {}
    for prefix, rollout in completions_drawn(row):
        known.setdefault("".join(step.text for step in prefix), []).append(rollout)
    return known
