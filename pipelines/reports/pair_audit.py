"""How many first errors make a pair of steps, and how often the pair is right by the known truth.

Counted over the curated rows, before pairs are thinned; a pair is what ``step_preference`` exports by default.
"""

from collections.abc import Sequence

from stepforge.labelers.evidence.siblings import Fork, fork_of
from stepforge.labelers.evidence.tree import EvidenceTree
from stepforge.labelers.oracle import judge
from stepforge.pipelines.reports.records import PairFigures
from stepforge.pipelines.reports.share import share_of
from stepforge.schemas.labeled import LabeledProblem, Verdict


class PairAudit:
    """Adds up rows; holds counts only."""

    def __init__(self) -> None:
        self._first_errors = 0
        self._with_a_right_step = 0
        self._apart = 0
        self._checked = 0
        self._right_against_wrong = 0
        self._at_the_first_error = 0

    def add(self, row: LabeledProblem, truths: Sequence[Verdict]) -> None:
        """Take in a problem; ``truths`` are the oracle's verdicts on its solutions."""
        if all(solution.verdict.first_error is None for solution in row.solutions):
            return
        tree = EvidenceTree(row)
        for solution, truth in zip(row.solutions, truths, strict=True):
            fork = fork_of(solution, tree)
            if fork is None:
                continue
            self._first_errors += 1
            self._with_a_right_step += fork.right is not None
            if fork.margin > 0:
                self._apart += 1
                self._check(row, truth, fork)

    def figures(self) -> PairFigures:
        """Return the counts, and shares with 95 % Wilson intervals where the truth is known."""
        return PairFigures(
            first_errors=self._first_errors,
            with_a_right_step=self._with_a_right_step,
            apart=self._apart,
            checked=self._checked,
            chosen_right_rejected_wrong=share_of(self._right_against_wrong, self._checked),
            at_the_true_first_error=share_of(self._at_the_first_error, self._checked),
        )

    def _check(self, row: LabeledProblem, truth: Verdict, fork: Fork) -> None:
        if row.problem.truth is None or fork.right is None:
            return
        chosen = judge(row.problem, (*fork.prefix, fork.right.step))[-1]
        rejected = judge(row.problem, (*fork.prefix, fork.wrong.step))[-1]
        self._checked += 1
        self._right_against_wrong += chosen == "right" and rejected == "wrong"
        self._at_the_first_error += truth.first_error == fork.error
