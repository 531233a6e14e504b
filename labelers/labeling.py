"""Assembling labels: a labeler's answer from its verdicts, and a run's from those of all its parts."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from stepforge.labelers.contracts import AnyPart, Combiner, FollowUp, Labeler, speaking
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory, solution_trajectory
from stepforge.schemas.labeled import Cost, LabeledProblem, LabeledSolution, LabelerCost, StepClass, StepLabel, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem, Step

TRUNCATED = "solution truncated or without a verdict"
"""Reason to abstain: the solution's own outcome is undetermined."""


class LabelPart(Record):
    """A part of a run's list of labelers: reports and the ledger call it by its kind."""

    completes: ClassVar[bool] = True
    """Whether it samples completions of a solution's beginning."""
    needs_answer: ClassVar[bool] = True
    """Whether it can only label problems with a reference answer or a verifier."""
    kind: str

    @property
    def name(self) -> str:
        return self.kind


class Search(LabelPart, ABC):
    """Searches each wrong solution for its first error; right ones are assumed to have none."""

    @property
    def asked_first(self) -> int:
        """Samples of the question that the searches need, the given solutions included."""
        return 0

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        evidence = Evidence(solved, policy, grader, seed)
        if self.asked_first and any(rollout.outcome == "wrong" for rollout in solved.rollouts):
            await evidence.measure(QUESTION, 0, self.asked_first)
        return await label_wrong(self.name, solved, evidence, lambda path: self.search(path, evidence))

    @abstractmethod
    async def search(self, path: Trajectory, evidence: Evidence) -> Verdict:
        """Return the verdict on a wrong solution."""


def abstention(name: str, reason: str, posterior: tuple[float, ...] | None = None) -> Verdict:
    return Verdict(labeler=name, first_error=None, abstained=True, reason=reason, posterior=posterior)


def no_verdict(name: str, index: int) -> Verdict:
    """Return the abstention of a labeler that needed a step none of whose completions has a verdict."""
    return abstention(name, f"no completion of step {index + 1} has a verdict")


def likeliest(name: str, chances: tuple[float, ...], sure: float, unsure: str) -> Verdict:
    """Return the likeliest first error, or none (last); an abstention for the reason ``unsure`` below ``sure``."""
    best = max(range(len(chances)), key=chances.__getitem__)
    if chances[best] < sure:
        return abstention(name, unsure, chances)
    return Verdict(labeler=name, first_error=None if best == len(chances) - 1 else best, posterior=chances)


async def label_wrong(
    name: str,
    solved: SolvedProblem,
    evidence: Evidence,
    search: Callable[[Trajectory], Awaitable[Verdict]],
    *,
    right_too: bool = False,
) -> LabeledProblem:
    """Label a problem by searching its wrong solutions; right ones are assumed to have no error, or searched too.

    A truncated solution is neither: the labeler abstains.
    """

    async def verdict(rollout: Rollout) -> Verdict:
        path = solution_trajectory(rollout)
        if path.outcome == "undetermined" or not path.steps:
            return abstention(name, TRUNCATED)
        searched = right_too or path.outcome == "wrong"
        return await search(path) if searched else Verdict(labeler=name, first_error=None)

    verdicts = await asyncio.gather(*(verdict(rollout) for rollout in solved.rollouts))
    return labeled_problem(name, solved, verdicts, evidence)


def labels_of(path: Trajectory, evidence: Evidence) -> tuple[StepLabel | None, ...]:
    """Return the counts of each prefix; the whole solution's only trial is its own outcome."""
    measured = [evidence.label(path, count) for count in range(1, len(path.steps))]
    return (*measured, own_outcome(path)) if path.steps else ()


def own_outcome(path: Trajectory) -> StepLabel:
    """Return the label of a whole solution: nothing is left to complete, so its outcome is its value."""
    return StepLabel(
        successes=int(path.outcome == "correct"),
        failures=int(path.outcome == "wrong"),
        undetermined=int(path.outcome == "undetermined"),
    )


def labeled_problem(
    name: str, solved: SolvedProblem, verdicts: Sequence[Verdict], evidence: Evidence | None, cost: Cost | None = None
) -> LabeledProblem:
    """Combine a labeler's verdicts, one per solution, with its evidence and cost."""
    solutions = tuple(
        LabeledSolution(
            rollout=rollout,
            labels=labels_of(solution_trajectory(rollout), evidence) if evidence else (None,) * len(rollout.steps),
            verdict=of_policy(verdict, rollout.steps),
        )
        for rollout, verdict in zip(solved.rollouts, verdicts, strict=True)
    )
    spent = (Cost() if evidence is None else evidence.cost) + (cost or Cost())
    return LabeledProblem(
        problem=solved.problem,
        solutions=solutions,
        evidence=() if evidence is None else evidence.rollouts,
        policy=solved.policy,
        costs=(LabelerCost(labeler=name, cost=spent),),
        own=solved.own,
    )


def of_policy(verdict: Verdict, steps: Sequence[Step]) -> Verdict:
    """Return a verdict that blames no tool: if a tool's answer seems to be the first error, blame its call."""
    error = verdict.first_error
    while error and steps[error].author == "tool":
        error -= 1
    if error == verdict.first_error or error is None:
        return verdict
    classes = verdict.classes
    if classes is not None:
        after: StepClass = "after"
        classes = (*classes[:error], classes[verdict.first_error or 0], *[after] * (len(steps) - error - 1))
    return verdict.model_copy(update={"first_error": error, "classes": classes})


async def label_with_all(
    parts: Sequence[AnyPart], solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int
) -> LabeledProblem:
    """Label with each labeler on its own evidence, combine, then follow up. The first part's verdicts are the run's,
    and the others' are stored with them; step labels and evidence are the first labeler's.
    """
    row = await _labeled(speaking(parts), solved, policy, grader, seed)
    for part in parts:
        if isinstance(part, FollowUp):
            row = await part.follow_up(row, policy, grader, seed=seed)
    return row


async def _labeled(
    parts: Sequence[Labeler | Combiner], solved: SolvedProblem, policy: Policy, grader: Grader, seed: int
) -> LabeledProblem:
    labelers = [part for part in parts if isinstance(part, Labeler)]
    results = {part.name: await part(solved, policy, grader, seed=seed) for part in labelers}
    first = results[labelers[0].name]
    solutions = []
    for i, solution in enumerate(first.solutions):
        spoken = {name: result.solutions[i].verdict for name, result in results.items()}
        for part in parts:
            if isinstance(part, Combiner):
                spoken[part.name] = part.combine([spoken[labeler.name] for labeler in labelers])
        verdict, *others = _checked_critiques([spoken[part.name] for part in parts])
        solutions.append(solution.model_copy(update={"verdict": verdict, "others": tuple(others)}))
    costs = tuple(cost for result in results.values() for cost in result.costs)
    return first.model_copy(update={"solutions": tuple(solutions), "costs": costs})


def _checked_critiques(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Keep a judge's words only if a labeler with other evidence names the same step."""
    others = [v for v in verdicts if v.critique is None and v.labeler not in ("oracle", "consensus")]
    named = [other.first_error for other in others if not other.abstained]
    return [
        v if v.critique is None or v.first_error in named else v.model_copy(update={"critique": None}) for v in verdicts
    ]
