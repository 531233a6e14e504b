"""A wrong step and its siblings: what else the policy wrote from the same prefix, and which is better."""

from typing import NamedTuple

from stepforge.labelers.evidence.tree import Branch, EvidenceTree
from stepforge.schemas.labeled import LabeledSolution
from stepforge.schemas.rollout import Step


class Fork(NamedTuple):
    """The position of a first error, with the wrong step and its best sibling."""

    error: int
    """0-based index of the wrong step, which is also the length of the shared prefix."""
    prefix: tuple[Step, ...]
    wrong: Branch
    right: Branch | None
    """The sibling with the largest lower bound of V; None if no rollout through another step reached the right
    answer."""

    @property
    def margin(self) -> float:
        """Lower bound of the right step's value minus the upper bound of the wrong one's; above 0 they are apart."""
        return -1.0 if self.right is None else self.right.interval[0] - self.wrong.interval[1]

    @property
    def doubtful(self) -> bool:
        """Whether the step called wrong certainly keeps a quarter of the right one's value: then it is hardly lost."""
        return self.right is not None and self.wrong.interval[0] > self.right.value / 4


def fork_of(solution: LabeledSolution, tree: EvidenceTree) -> Fork | None:
    """Return where a solution first goes wrong; None if it does not, if unknown, or if it was supplied."""
    error, rollout = solution.verdict.first_error, solution.rollout
    if error is None or not rollout.tokens:
        return None
    prefix, step = rollout.steps[:error], rollout.steps[error]
    branches = tree.branches(prefix, without=rollout.id)
    wrong = branches.pop(step.text)
    # A sibling is considered because it succeeded once; among many with one try each, some would by luck.
    others = [b._replace(picked=1) for b in branches.values() if b.successes and _says_another(b.step, step)]
    right = max(others, key=lambda branch: (branch.interval[0], branch.value), default=None)
    return Fork(error, prefix, wrong, right)


def _says_another(other: Step, step: Step) -> bool:
    return other.text.strip() not in ("", step.text.strip())
