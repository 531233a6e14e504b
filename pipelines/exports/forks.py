"""The first errors of a problem with what else was written there, found once for all exports that ask in turn."""

from stepforge.labelers.evidence.siblings import Fork, fork_of
from stepforge.labelers.evidence.tree import EvidenceTree
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution

Found = list[tuple[LabeledSolution, Fork]]


class _LastProblem:
    """Remembers one answer: exports are asked one after another about the same problem."""

    def __init__(self) -> None:
        self._last: tuple[LabeledProblem, Found] | None = None

    def forks(self, problem: LabeledProblem) -> Found:
        last = self._last
        if last is None or last[0] is not problem:
            tree = EvidenceTree(problem)
            found = ((solution, fork_of(solution, tree)) for solution in problem.solutions)
            last = self._last = problem, [(solution, fork) for solution, fork in found if fork is not None]
        return last[1]


_LAST = _LastProblem()


def forks_of(problem: LabeledProblem) -> Found:
    """Return each solution with a first error, and the steps written at that place."""
    return _LAST.forks(problem)
