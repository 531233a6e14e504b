"""The labeler's contract, and what labelers share when they put their answer together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from stepforge.labelers.evidence import Evidence, Path, solution_path
from stepforge.schemas.labeled import Cost, LabeledProblem, LabeledSolution, LabelerCost, StepLabel, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import Rollout, SolvedProblem

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


async def label_wrong(
    name: str, solved: SolvedProblem, evidence: Evidence, search: Callable[[Path], Awaitable[Verdict]]
) -> LabeledProblem:
    """Label a problem by searching its wrong solutions; right ones are taken to hold no error, unread.

    A truncated solution is neither: the labeler abstains.
    """

    async def verdict(rollout: Rollout) -> Verdict:
        path = solution_path(rollout)
        if path.outcome == "undetermined" or not path.steps:
            return Verdict(labeler=name, first_error=None, abstained=True, reason=TRUNCATED)
        return await search(path) if path.outcome == "wrong" else Verdict(labeler=name, first_error=None)

    verdicts = await asyncio.gather(*(verdict(rollout) for rollout in solved.rollouts))
    return labeled_problem(name, solved, verdicts, evidence)


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
    name: str, solved: SolvedProblem, verdicts: Sequence[Verdict], evidence: Evidence | None, cost: Cost | None = None
) -> LabeledProblem:
    """Put a labeler's verdicts, one a solution, together with its evidence and cost."""
    solutions = tuple(
        LabeledSolution(rollout=rollout, labels=_labels(rollout, evidence), verdict=verdict)
        for rollout, verdict in zip(solved.rollouts, verdicts, strict=True)
    )
    spent = (Cost() if evidence is None else evidence.cost) + (cost or Cost())
    return LabeledProblem(
        problem=solved.problem,
        solutions=solutions,
        evidence=() if evidence is None else evidence.rollouts,
        policy=solved.policy,
        costs=(LabelerCost(labeler=name, cost=spent),),
    )


def _labels(rollout: Rollout, evidence: Evidence | None) -> tuple[StepLabel | None, ...]:
    if evidence is None:
        return (None,) * len(rollout.steps)
    return labels_of(solution_path(rollout), evidence)


class Combiner(Protocol):
    """A part that has no evidence of its own and speaks about the verdicts of the others."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    def combine(self, verdicts: Sequence[Verdict]) -> Verdict:
        """Return a verdict on one solution from those of the labelers."""
        ...


class FollowUp(Protocol):
    """A part that gives no verdict: it draws more once the verdicts are there."""

    @property
    def name(self) -> str:
        """How the books call what it spends."""
        ...

    async def follow_up(self, row: LabeledProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with more in ``further`` and its own cost; labels and verdicts stay as they are."""
        ...


AnyPart = Labeler | Combiner | FollowUp


def speaking(parts: Sequence[AnyPart]) -> list[Labeler | Combiner]:
    """Return the parts that give verdicts."""
    return [part for part in parts if not hasattr(part, "follow_up")]


async def label_with_all(
    parts: Sequence[AnyPart], solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int
) -> LabeledProblem:
    """Label with each labeler on evidence of its own, combine, then follow up.

    The first part's verdicts stand and the others' go along; step labels and evidence are the first labeler's.
    """
    row = await _labelled(speaking(parts), solved, policy, grader, seed)
    for part in parts:
        if hasattr(part, "follow_up"):
            row = await part.follow_up(row, policy, grader, seed=seed)
    return row


async def _labelled(
    parts: Sequence[Labeler | Combiner], solved: SolvedProblem, policy: Policy, grader: Grader, seed: int
) -> LabeledProblem:
    labelers = [part for part in parts if not hasattr(part, "combine")]
    results = {part.name: await part(solved, policy, grader, seed=seed) for part in labelers}
    first = results[labelers[0].name]
    solutions = []
    for i, solution in enumerate(first.solutions):
        spoken = {name: result.solutions[i].verdict for name, result in results.items()}
        for part in parts:
            if hasattr(part, "combine"):
                spoken[part.name] = part.combine([spoken[labeler.name] for labeler in labelers])
        verdict, *others = _checked_critiques([spoken[part.name] for part in parts])
        solutions.append(solution.model_copy(update={"verdict": verdict, "others": tuple(others)}))
    costs = tuple(cost for result in results.values() for cost in result.costs)
    return first.model_copy(update={"solutions": tuple(solutions), "costs": costs})


def _checked_critiques(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Keep a judge's words only where a labeler with other evidence names the same step."""
    return [
        verdict
        if verdict.critique is None or any(_supports(other, verdict) for other in verdicts)
        else verdict.model_copy(update={"critique": None})
        for verdict in verdicts
    ]


def _supports(other: Verdict, judge: Verdict) -> bool:
    independent = other.critique is None and other.labeler not in ("oracle", "consensus")
    return independent and not other.abstained and other.first_error == judge.first_error
