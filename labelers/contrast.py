"""``contrast``: draws on at first errors until the wrong step and a right one in its place are told apart.

Labelers ask for as little as a verdict takes, and ``change_point`` for next to nothing; a preference pair of single
steps takes more, because both values must be known well enough for their intervals not to overlap. Listed among a
run's labelers this part gives no verdict. It goes on with the first labeler's evidence, keeps what it draws in
``further``, and stands in the books under its own name.
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
    """Asks at the error's prefix for a right step, then at whichever of the two steps is known less well."""

    kind: Literal["contrast"] = "contrast"
    budget: int = Field(default=12, ge=1)
    """Most completions for a first error."""
    batch: int = Field(default=2, ge=1)
    """Completions asked for at a time."""
    wrong_answers_only: bool = True
    """Whether a wrong step in a solution that still ends right is left alone: it did little harm, so its value will
    hardly be apart."""
    per_problem: int = Field(default=4, ge=1)
    """Most first errors of a problem that are followed up; solutions that go wrong alike count once."""

    async def follow_up(self, row: LabeledProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with the completions that were drawn, and what they cost."""
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
    """Draw where it tells most: for a right step while there is none, else from the step known less well."""
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
