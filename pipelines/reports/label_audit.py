"""The label audit: error rates of the exported labels, measured on the run's own problems with a known truth.

Counted a step, as ``stepwise`` exports them: every step before the named first error is labeled right, the named one
wrong, those behind it not at all. Solutions on which the labeler abstains export nothing; their share is given.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stepforge.pipelines.reports.records import AuditFigures
from stepforge.pipelines.reports.share import share_of
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict


class _Counts:
    """Steps and solutions of one slice."""

    def __init__(self) -> None:
        self.problems = 0
        self.solutions = 0
        self.abstained = 0
        self.labeled_right = 0
        self.labeled_right_but_wrong = 0
        self.labeled_wrong = 0
        self.labeled_wrong_but_right = 0
        self.first_error_exact = 0

    def add(self, solution: LabeledSolution, truth: Verdict) -> None:
        self.solutions += 1
        if solution.verdict.abstained:
            self.abstained += 1
            return
        self.first_error_exact += solution.verdict.first_error == truth.first_error
        for labeled_right, true in labeled_steps(solution.verdict, truth):
            if labeled_right:
                self.labeled_right += 1
                self.labeled_right_but_wrong += not true
            else:
                self.labeled_wrong += 1
                self.labeled_wrong_but_right += true

    def figures(self) -> AuditFigures:
        decided = self.solutions - self.abstained
        return AuditFigures(
            problems=self.problems,
            solutions=self.solutions,
            abstained_share=self.abstained / self.solutions if self.solutions else None,
            steps_labeled_right=self.labeled_right,
            of_these_wrong=share_of(self.labeled_right_but_wrong, self.labeled_right),
            steps_labeled_wrong=self.labeled_wrong,
            of_these_right=share_of(self.labeled_wrong_but_right, self.labeled_wrong),
            solutions_labeled_exactly=share_of(self.first_error_exact, decided),
        )


class LabeledStep(NamedTuple):
    """A step's label beside the truth."""

    labeled_right: bool
    true: bool


def labeled_steps(verdict: Verdict, truth: Verdict) -> Iterable[LabeledStep]:
    """Yield the exported label and the truth of each step that has both."""
    classes = truth.classes or ()
    last = len(classes) - 1 if verdict.first_error is None else verdict.first_error
    for i, step in enumerate(classes[: last + 1]):
        if step != "unknown":
            yield LabeledStep(i != verdict.first_error, step == "right")


class Audit:
    """Adds up rows; holds counts only."""

    def __init__(self) -> None:
        self._slices: dict[str, _Counts] = defaultdict(_Counts)

    def add(self, row: LabeledProblem, truths: Sequence[Verdict | None]) -> None:
        """Take in a problem with the truth of each solution; one without any counts nowhere."""
        problem, truths = row.problem, [None if truth is None or truth.abstained else truth for truth in truths]
        if not any(truths):
            return
        names = ["all", f"domain: {problem.domain}", f"source: {problem.source}"]
        names += [] if problem.difficulty is None else [f"difficulty: {problem.difficulty}"]
        for name in names:
            self._slices[name].problems += 1
        for solution, truth in zip(row.solutions, truths, strict=True):
            if truth is not None:
                for name in names:
                    self._slices[name].add(solution, truth)

    def figures(self) -> dict[str, AuditFigures]:
        """Return the error rates by slice, ``all`` first; empty if no problem has a truth."""
        return {name: self._slices[name].figures() for name in sorted(self._slices, key=lambda n: (n != "all", n))}
