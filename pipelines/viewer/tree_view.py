"""The tree of a problem's rollouts: steps written right after a prefix, with their outcomes."""

from typing import NamedTuple

from stepforge.labelers.evidence.tree import Branch, EvidenceTree
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Step

MOST_NODES = 1500
DEEPEST = 40
"""Levels of branching shown; browsers handle deeper nesting poorly."""


class Node(NamedTuple):
    """Steps without branching, what is known after the last, and what follows."""

    steps: tuple[tuple[int, str], ...]
    """Number and text of each."""
    right: int
    wrong: int
    value: float
    low: float
    high: float
    solutions: tuple[int, ...]
    """Numbers of the solutions that go through it."""
    ends: str
    """The outcome if all rollouts end with it, else empty."""
    children: tuple["Node", ...]
    hidden: int
    """Branches below that are not shown."""

    @property
    def tone(self) -> int:
        """The mean chance of a right answer, 0 to 10."""
        return round(10 * self.value)


def tree_of(row: LabeledProblem) -> tuple[Node, ...]:
    return _Tree(row).below((), 0)


class _Tree:
    def __init__(self, row: LabeledProblem) -> None:
        self._tree = EvidenceTree(row)
        self._solutions = [solution.rollout.steps for solution in row.solutions]
        self._left = MOST_NODES

    def below(self, prefix: tuple[Step, ...], depth: int) -> tuple[Node, ...]:
        """Return the continuations of a prefix, most frequent first."""
        branches = sorted(self._tree.branches(prefix).values(), key=lambda branch: -len(branch.ways))
        return tuple(self._node(prefix, branch, depth) for branch in branches)

    def _node(self, prefix: tuple[Step, ...], branch: Branch, depth: int) -> Node:
        self._left -= 1
        steps, following = [], {branch.step.text: branch}
        while len(following) == 1:
            (branch,) = following.values()
            prefix = (*prefix, branch.step)
            steps.append((len(prefix), branch.step.text))
            following = self._tree.branches(prefix)
        shown = depth < DEEPEST and self._left > len(following)
        low, high = branch.interval
        texts = [step.text for step in prefix]
        through = [i + 1 for i, s in enumerate(self._solutions) if [step.text for step in s[: len(texts)]] == texts]
        outcomes = {way.outcome for way in branch.ways}
        return Node(
            steps=tuple(steps),
            right=branch.successes,
            wrong=branch.failures,
            value=branch.value,
            low=low,
            high=high,
            solutions=tuple(through),
            ends=outcomes.pop() if not following and len(outcomes) == 1 else "",
            children=self.below(prefix, depth + 1) if shown else (),
            hidden=0 if shown else len(following),
        )
