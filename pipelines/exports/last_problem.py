"""Results that several exports need about a problem, computed once: the exports process it one after another."""

from collections.abc import Callable
from typing import Generic, TypeVar

from stepforge.labelers.evidence.siblings import Fork, fork_of
from stepforge.labelers.evidence.tree import EvidenceTree
from stepforge.labelers.oracle import oracle_verdict
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict

T = TypeVar("T")


class LastProblem(Generic[T]):
    def __init__(self, answer: Callable[[LabeledProblem], T]) -> None:
        self._answer = answer
        self._last: tuple[LabeledProblem, T] | None = None

    def __call__(self, problem: LabeledProblem) -> T:
        """Return the answer; the same object if the problem is the same object."""
        last = self._last
        if last is None or last[0] is not problem:
            last = self._last = problem, self._answer(problem)
        return last[1]


def _forks(problem: LabeledProblem) -> list[tuple[LabeledSolution, Fork]]:
    if all(solution.verdict.first_error is None for solution in problem.solutions):
        return []
    tree = EvidenceTree(problem)
    found = ((solution, fork_of(solution, tree)) for solution in problem.solutions)
    return [(solution, fork) for solution, fork in found if fork is not None]


forks_of = LastProblem(_forks)
"""Each solution with a first error, and the steps written at that place."""
truths_of: LastProblem[dict[str, Verdict]] = LastProblem(
    lambda problem: {s.rollout.id: oracle_verdict(problem.problem, s.rollout) for s in problem.solutions}
)
"""The oracle's verdict on each solution, by its id; for problems with a known truth."""
