"""A wrong step beside its siblings: what else the policy wrote from the same prefix, and which of it is better."""

from typing import NamedTuple

from stepforge.labelers.evidence.tree import Branch, EvidenceTree
from stepforge.schemas.labeled import LabeledSolution
from stepforge.schemas.rollout import Step


class Fork(NamedTuple):
    """The place of a first error, with the wrong step and the best of its siblings."""

    error: int
    """0-based index of the wrong step; so many steps make up the shared prefix."""
    prefix: tuple[Step, ...]
    wrong: Branch
    right: Branch | None
    """The sibling with the largest lower bound of V; None where no rollout through another step ended right."""

    @property
    def margin(self) -> float:
        """Lower bound of the right step's value less the upper bound of the wrong one's; above 0 they are apart."""
        return -1.0 if self.right is None else self.right.interval[0] - self.wrong.interval[1]

    @property
    def doubtful(self) -> bool:
        """Whether the step called wrong surely keeps a quarter of the right one's value: then it is hardly lost."""
        return self.right is not None and self.wrong.interval[0] > self.right.value / 4


def fork_of(solution: LabeledSolution, tree: EvidenceTree) -> Fork | None:
    """Return where a solution first goes wrong; None if it does not, if nobody knows, or if it was supplied."""
    error, rollout = solution.verdict.first_error, solution.rollout
    if error is None or not rollout.tokens:
        return None
    prefix, step = rollout.steps[:error], rollout.steps[error]
    branches = tree.branches(prefix, without=rollout.id)
    wrong = branches.pop(step.text)
    # A sibling is looked at because it succeeded once; among many with one try each, some would by luck.
    others = [b._replace(picked=1) for b in branches.values() if b.successes and _says_another(b.step, step)]
    right = max(others, key=lambda branch: (branch.interval[0], branch.value), default=None)
    return Fork(error, prefix, wrong, right)


def _says_another(other: Step, step: Step) -> bool:
    return other.text.strip() not in ("", step.text.strip())
