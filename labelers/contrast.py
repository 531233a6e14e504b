"""``contrast``: samples more at first errors until a right step's value is clearly above the wrong one's.

Labelers sample only what a verdict needs, and ``change_point`` almost nothing; a preference pair of single steps needs
more, because the intervals of both values must not overlap. Listed among a run's labelers, this part gives no verdict.
It starts from the first labeler's evidence, keeps its samples in ``further``, and has its own entry in the ledger.
"""

from typing import Literal

from pydantic import Field

from stepforge.labelers.evidence.replay import growing_evidence
from stepforge.labelers.evidence.siblings import Fork, fork_of
from stepforge.labelers.evidence.store import Evidence, Trajectory
from stepforge.labelers.evidence.tree import Branch, EvidenceTree
from stepforge.labelers.labeling import LabelPart
from stepforge.schemas.labeled import Cost, LabeledProblem, LabeledSolution, LabelerCost
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import Rollout
from stepforge.schemas.seeds import seed_of


class Contrast(LabelPart):
    """Samples at the error's prefix for a right step, then at whichever of the two steps is less certain."""

    kind: Literal["contrast"] = "contrast"
    budget: int = Field(default=12, ge=1)
    """Most completions per first error."""
    batch: int = Field(default=2, ge=1)
    """Completions asked for at a time."""
    wrong_answers_only: bool = True
    """Whether to skip wrong steps in solutions with a right answer: they did little harm, so the values will hardly
    differ."""
    per_problem: int = Field(default=4, ge=1)
    """Most first errors followed up per problem; solutions that go wrong in the same way count once."""

    async def follow_up(self, row: LabeledProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        evidence = growing_evidence(row, policy, grader, seed_of(seed, self.name))
        known = {rollout.id for rollout in evidence.rollouts}
        tree = EvidenceTree(row)
        for solution in self._first_errors(row, tree):
            await self._tell_apart(solution, tree, evidence)
        drawn = tuple(rollout for rollout in evidence.rollouts if rollout.id not in known)
        cost = LabelerCost(labeler=self.name, cost=Cost.of(drawn))
        return row.model_copy(update={"further": (*row.further, *drawn), "costs": (*row.costs, cost)})

    def _first_errors(self, row: LabeledProblem, tree: EvidenceTree) -> list[LabeledSolution]:
        distinct: dict[tuple[str, ...], LabeledSolution] = {}
        for solution in row.solutions:
            fork = fork_of(solution, tree)
            if fork is not None and (solution.rollout.outcome == "wrong" or not self.wrong_answers_only):
                key = tuple(step.text for step in (*fork.prefix, fork.wrong.step))
                distinct.setdefault(key, solution)
        return list(distinct.values())[: self.per_problem]

    async def _tell_apart(self, solution: LabeledSolution, tree: EvidenceTree, evidence: Evidence) -> None:
        spent = 0
        while spent < self.budget:
            fork = fork_of(solution, tree)
            if fork is None or fork.margin > 0 or fork.doubtful:
                return
            n = min(self.batch, self.budget - spent)
            for rollout in await _ask(fork, solution.rollout, n, evidence):
                tree.add(rollout)
            spent += n


async def _ask(fork: Fork, wrong: Rollout, n: int, evidence: Evidence) -> list[Rollout]:
    """Sample where it helps most: for a right step while there is none, else from the less certain step."""
    path, count = Trajectory(wrong.id, wrong.steps, wrong.outcome, wrong.tokens), fork.error
    if fork.right is not None:
        count += 1
        if _width(fork.right) > _width(fork.wrong):
            way = fork.right.ways[0]
            path = Trajectory(way.rollout, (*fork.prefix, *way.steps), way.outcome, 0)
    before = len(evidence.completions(path, count))
    await evidence.more(path, count, n)
    return evidence.completions(path, count)[before:]


def _width(branch: Branch) -> float:
    return branch.interval[1] - branch.interval[0]
