"""The labeler's contract, and what labelers share when they put their answer together."""

from collections.abc import Sequence
from typing import Protocol

from labelers.evidence import Evidence, Path, solution_path
from schemas.labeled import Cost, LabeledProblem, LabeledSolution, LabelerCost, StepLabel, Verdict
from schemas.protocols import Grader, Policy
from schemas.rollout import Rollout, SolvedProblem

TRUNCATED = "solution truncated or without a verdict"
"""Reason to abstain: the solution's own outcome is undetermined."""


class Labeler(Protocol):
    """A part that labels a solved problem; pure but for the policy and the grader."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with its solutions labelled, and all the evidence."""
        ...


def labels_of(path: Path, evidence: Evidence) -> tuple[StepLabel | None, ...]:
    """Return what is known of each prefix; of the whole solution its own outcome is the one trial there is."""
    measured = [evidence.label(path, count) for count in range(1, len(path.steps))]
    return (*measured, own_outcome(path)) if path.steps else ()


def own_outcome(path: Path) -> StepLabel:
    """Return the label of a whole solution: nothing is left to complete, so its outcome is its value."""
    return StepLabel(
        successes=int(path.outcome == "correct"),
        failures=int(path.outcome == "wrong"),
        undetermined=int(path.outcome == "undetermined"),
    )


def labeled_problem(
    name: str, solved: SolvedProblem, verdicts: Sequence[Verdict], evidence: Evidence | None
) -> LabeledProblem:
    """Put a labeler's verdicts, one a solution, together with its evidence and cost."""
    solutions = tuple(
        LabeledSolution(rollout=rollout, labels=_labels(rollout, evidence), verdict=verdict)
        for rollout, verdict in zip(solved.rollouts, verdicts, strict=True)
    )
    cost = Cost() if evidence is None else evidence.cost
    return LabeledProblem(
        problem=solved.problem,
        solutions=solutions,
        evidence=() if evidence is None else evidence.rollouts,
        policy=solved.policy,
        costs=(LabelerCost(labeler=name, cost=cost),),
    )


def _labels(rollout: Rollout, evidence: Evidence | None) -> tuple[StepLabel | None, ...]:
    if evidence is None:
        return (None,) * len(rollout.steps)
    return labels_of(solution_path(rollout), evidence)


async def label_with_all(
    labelers: Sequence[Labeler], solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int
) -> LabeledProblem:
    """Label with each labeler on evidence of its own; the first one's labels stand, the others' verdicts go along."""
    results = [await labeler(solved, policy, grader, seed=seed) for labeler in labelers]
    first = results[0]
    solutions = tuple(
        solution.model_copy(update={"others": tuple(r.solutions[i].verdict for r in results[1:])})
        for i, solution in enumerate(first.solutions)
    )
    costs = tuple(cost for result in results for cost in result.costs)
    return first.model_copy(update={"solutions": solutions, "costs": costs})
