"""The rollouts of a problem as one tree of steps, each with what is known of V after it, and the export of that tree.

A rollout counts at each step that it passes through, from the end of its prefix: given that it gets there, how it ends
is a sample of how the policy ends from there.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepforge.pipelines.exports.contract import Export, ProblemOrigin, own_columns_first, problem_origin
from stepforge.pipelines.exports.last_problem import LastProblem
from stepforge.schemas.interval import beta_interval
from stepforge.schemas.labeled import Belief, LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome, Rollout, Step


@dataclass(slots=True)
class Node:
    """A step after a certain prefix; the root is the bare question."""

    parent: int | None
    depth: int
    step: Step
    through: Counter[Outcome] = field(default_factory=Counter)
    """Rollouts that pass through it, by outcome."""
    ends: Counter[Outcome] = field(default_factory=Counter)
    """Those that end with it."""
    belief: Belief | None = None

    @property
    def value(self) -> tuple[float, float, float]:
        """V with the ends of its central 90 % credible interval: the labeler's, else under a flat prior.

        If every rollout ends with this step, and all alike, V is known.
        """
        right, wrong = self.through["correct"], self.through["wrong"]
        if right + wrong and self.ends == self.through and not (right and wrong):
            known = float(right > 0)
            return known, known, known
        if self.belief is not None:
            return self.belief.value, self.belief.low, self.belief.high
        return (right + 1) / (right + wrong + 2), *beta_interval(right, wrong)


class RolloutTree:
    """Nodes in the order in which they were first written, the root first."""

    def __init__(self, problem: LabeledProblem) -> None:
        self.nodes = [Node(None, 0, Step(text=""))]
        self.paths: dict[str, tuple[int, ...]] = {}
        """The nodes of each rollout from the question on, without the root."""
        self.steps: dict[str, tuple[Step, ...]] = {}
        """The steps along them, with the tokens that this rollout has."""
        self._children: dict[tuple[int, str], int] = {}
        for solution in problem.solutions:
            self._add(solution.rollout, counts=solution.rollout.tokens > 0 and problem.completer is None)
            for place, label in zip(self.paths[solution.rollout.id], solution.labels, strict=True):
                if label is not None and label.belief is not None:
                    self.nodes[place].belief = label.belief
        for rollout in (*problem.evidence, *problem.further):
            self._add(rollout, counts=True)
        for rollout in problem.searched:
            self._add(rollout, counts=False)

    def on(self, rollout: str) -> Iterator[Node]:
        return (self.nodes[place] for place in self.paths[rollout])

    def _add(self, rollout: Rollout, *, counts: bool) -> None:
        start = rollout.start if rollout.start is not None and rollout.start.steps else None
        kept = 0 if start is None else start.steps
        before = () if start is None else self.paths[start.rollout][:kept]
        steps = () if start is None else self.steps[start.rollout][:kept]
        path = (*before, *self._written(before[-1] if before else 0, rollout.steps))
        self.paths[rollout.id], self.steps[rollout.id] = path, (*steps, *rollout.steps)
        if counts:
            for place in (0, *path)[kept:]:
                self.nodes[place].through[rollout.outcome] += 1
            self.nodes[path[-1] if path else 0].ends[rollout.outcome] += 1

    def _written(self, place: int, steps: Sequence[Step]) -> Iterator[int]:
        for step in steps:
            key = (place, step.text)
            if key not in self._children:
                self._children[key] = len(self.nodes)
                self.nodes.append(Node(place, self.nodes[place].depth + 1, step))
            place = self._children[key]
            yield place


rollout_tree = LastProblem(RolloutTree)


class TreeNode(Record):
    """A step after a certain prefix; the first node is the bare question, with an empty text."""

    parent: int | None
    """Index of the node before it; null for the first one."""
    depth: int
    text: str
    successes: int
    """Rollouts through it that reach the right answer, from the end of their prefix."""
    failures: int
    undetermined: int
    ended: int
    """Rollouts that end with this step."""
    value: float
    """V after it: the labeler's posterior mean, else that under a flat prior; at an end, the outcome."""
    low: float
    """Lower end of the value's 90 % credible interval."""
    high: float


class TreePath(Record):
    rollout: str
    nodes: tuple[int, ...]
    sampled: int
    """Steps that it wrote itself; those before came with its prefix."""
    outcome: str
    first_error: int | None
    """Of a labeled solution: 0-based, -1 if the labeler finds none; null for completions and abstentions."""


@own_columns_first
class SearchTreeRow(ProblemOrigin):
    question: str
    answer: str | None
    nodes: tuple[TreeNode, ...]
    paths: tuple[TreePath, ...]


class SearchTree(Export):
    """For value models, offline tree search, and users who want the rollouts themselves."""

    kind: Literal["search_tree"] = "search_tree"
    row = SearchTreeRow
    needs_completions = True

    def rows(self, problem: LabeledProblem) -> Iterator[SearchTreeRow]:
        if problem.solutions:
            yield SearchTreeRow(
                question=problem.problem.question,
                answer=problem.problem.answer,
                nodes=tuple(_node(node) for node in rollout_tree(problem).nodes),
                paths=tuple(_paths(problem)),
                **problem_origin(problem),
            )


def _node(node: Node) -> TreeNode:
    value, low, high = node.value
    return TreeNode(
        parent=node.parent,
        depth=node.depth,
        text=node.step.text,
        successes=node.through["correct"],
        failures=node.through["wrong"],
        undetermined=node.through["undetermined"],
        ended=node.ends.total(),
        value=value,
        low=low,
        high=high,
    )


def _paths(problem: LabeledProblem) -> Iterator[TreePath]:
    tree = rollout_tree(problem)
    errors = {
        s.rollout.id: -1 if s.verdict.first_error is None else s.verdict.first_error
        for s in problem.solutions
        if not s.verdict.abstained
    }
    solutions = (s.rollout for s in problem.solutions)
    for rollout in (*solutions, *problem.evidence, *problem.further, *problem.searched):
        yield TreePath(
            rollout=rollout.id,
            nodes=tree.paths[rollout.id],
            sampled=len(rollout.steps),
            outcome=rollout.outcome,
            first_error=errors.get(rollout.id),
        )
