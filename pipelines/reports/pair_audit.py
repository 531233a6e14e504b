"""How many first errors make a pair of steps, and how often the pair is right by the known truth.

Counted over the curated rows, before pairs are thinned; a pair is what ``step_preference`` exports by default.
"""

from collections import Counter
from collections.abc import Sequence

from stepforge.labelers.evidence.siblings import fork_of
from stepforge.labelers.evidence.tree import EvidenceTree
from stepforge.labelers.oracle import judge
from stepforge.pipelines.reports.records import PairFigures
from stepforge.pipelines.reports.share import share_of
from stepforge.schemas.labeled import LabeledProblem, Verdict


class PairAudit:
    """Adds up rows; holds counts only."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, row: LabeledProblem, truths: Sequence[Verdict]) -> None:
        """Take in a problem; ``truths`` are the oracle's verdicts on its solutions."""
        if all(solution.verdict.first_error is None for solution in row.solutions):
            return
        tree = EvidenceTree(row)
        for solution, truth in zip(row.solutions, truths, strict=True):
            fork = fork_of(solution, tree)
            if fork is not None:
                apart = fork.margin > 0
                self._counts.update(first_errors=1, with_a_right_step=fork.right is not None, apart=apart)
                if apart and fork.right is not None and row.problem.truth is not None:
                    chosen, rejected = (
                        judge(row.problem, (*fork.prefix, branch.step))[-1] for branch in (fork.right, fork.wrong)
                    )
                    right = chosen == "right" and rejected == "wrong"
                    self._counts.update(checked=1, right=right, placed=truth.first_error == fork.error)

    def figures(self) -> PairFigures:
        """Return the counts, and shares with 95 % Wilson intervals where the truth is known."""
        n = self._counts
        return PairFigures(
            first_errors=n["first_errors"],
            with_a_right_step=n["with_a_right_step"],
            apart=n["apart"],
            checked=n["checked"],
            chosen_right_rejected_wrong=share_of(n["right"], n["checked"]),
            at_the_true_first_error=share_of(n["placed"], n["checked"]),
        )
