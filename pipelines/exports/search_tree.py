"""The ``search_tree`` export: a row per problem with the tree that its rollouts form, every completion in it."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.rollout_tree import Node, rollout_tree
from stepforge.pipelines.exports.rows import ProblemOrigin, own_columns_first, problem_origin
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


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
