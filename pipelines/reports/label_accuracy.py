"""How good labels are, measured against the oracle: ProcessBench's accuracies and F1, and step AUC.

A solution is *erroneous* if the oracle finds a wrong step in it. Three kinds are kept apart: erroneous with a wrong
final answer, erroneous with a right one (repaired, or lucky), and without an error. ``first_error_accuracy`` is the
share of the first kind whose first wrong step is named exactly, ``correct_solution_accuracy`` the share of the third
in which no error is found, ``processbench_f1`` their harmonic mean. ``..._all_erroneous`` takes the first two kinds
together, which is ProcessBench's own definition (arXiv 2412.06559, section 3); labels by "any success" cannot see the
second kind at all. An abstention is never right; it is also counted separately.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stepforge.labelers.oracle import first_fatal, oracle_verdict
from stepforge.pipelines.reports.records import LabelFigures
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict


class Judged(NamedTuple):
    verdict: Verdict
    truth: Verdict
    answer_correct: bool

    @property
    def erroneous(self) -> bool:
        return self.truth.first_error is not None

    @property
    def exact(self) -> bool:
        return not self.verdict.abstained and self.verdict.first_error == self.truth.first_error

    @property
    def flagged(self) -> bool:
        """Whether it names a wrong step although the answer is right; an abstention is no flag."""
        return self.answer_correct and self.verdict.first_error is not None

    @property
    def marks(self) -> list[str]:
        """What it counts as; ``near``: it names a step at most one away from the first wrong one."""
        kind = "right" if not self.erroneous else "lucky" if self.answer_correct else "wrong_answer"
        named, true, fatal = self.verdict.first_error, self.truth.first_error, first_fatal(self.truth)
        held = {
            "all": True,
            kind: True,
            f"{kind} exact": self.exact,
            f"{kind} near": named is not None and true is not None and abs(named - true) <= 1,
            f"{kind} flagged": self.flagged,
            f"{kind} abstained": self.verdict.abstained,
            f"{kind} decided": not self.verdict.abstained,
            "flagged": self.flagged,
            "fatal": fatal is not None,
            "fatal exact": named is not None and named == fatal,
            "abstained": self.verdict.abstained,
        }
        return [mark for mark, holds in held.items() if holds]


def truths_of(problem: LabeledProblem) -> list[Verdict]:
    return [oracle_verdict(problem.problem, solution.rollout) for solution in problem.solutions]


def judge_problem(
    problem: LabeledProblem, truths: Sequence[Verdict] | None = None, *, unended: bool = False
) -> dict[str, list[Judged]]:
    """Return every labeler's verdicts beside the truths, the oracle's by default; empty where none is known.

    Solutions whose own outcome is undetermined are left out, unless ``unended``: to the oracle, a truncated solution
    has no known end.
    """
    judged: dict[str, list[Judged]] = defaultdict(list)
    for solution, truth in zip(problem.solutions, truths or truths_of(problem), strict=True):
        if truth.abstained or (solution.rollout.outcome == "undetermined" and not unended):
            continue
        for verdict in solution.verdicts:
            judged[verdict.labeler].append(Judged(verdict, truth, solution.rollout.outcome == "correct"))
    return judged


def counted(judged: Iterable[Judged]) -> Counter[str]:
    return Counter(mark for one in judged for mark in one.marks)


def label_figures(counts: Counter[str]) -> LabelFigures:
    found = LabelFigures.of(counts)
    pairs = {"processbench_f1": found.first_error_accuracy}
    pairs["processbench_f1_all_erroneous"] = found.first_error_accuracy_all_erroneous
    clean = found.correct_solution_accuracy
    return found.model_copy(update={name: harmonic_mean(exact, clean) for name, exact in pairs.items()})


def harmonic_mean(first: float | None, second: float | None) -> float | None:
    """Return 2ab / (a + b), 0 if both are 0, None if either is missing."""
    if first is None or second is None:
        return None
    return 2 * first * second / (first + second) if first + second else 0.0


def step_auc(problem: LabeledProblem, labeler: str, truths: Sequence[Verdict] | None = None) -> float | None:
    """Return the AUC of a labeler's step scores against the oracle's right and wrong, within one problem.

    Steps the oracle cannot judge are left out, and so are solutions on which the labeler abstained. None unless the
    problem has both right and wrong steps.
    """
    right: list[float] = []
    wrong: list[float] = []
    for solution, truth in zip(problem.solutions, truths or truths_of(problem), strict=True):
        verdict = next((v for v in solution.verdicts if v.labeler == labeler), None)
        if verdict is None or verdict.abstained or truth.classes is None:
            continue
        for score, step in zip(_scores(solution, verdict), truth.classes, strict=True):
            if step != "unknown":
                (right if step == "right" else wrong).append(score)
    return auc(right, wrong)


def _scores(solution: LabeledSolution, verdict: Verdict) -> list[float]:
    """A score per step: before the first error the measured value, or 1 if unmeasured; from it on, 0."""
    error = len(solution.rollout.steps) if verdict.first_error is None else verdict.first_error
    own = verdict.labeler == solution.verdict.labeler
    scores = []
    for i in range(len(solution.rollout.steps)):
        label = solution.labels[i] if own else None
        value = None if label is None else label.value
        scores.append(0.0 if i >= error else 1.0 if value is None else value)
    return scores


def auc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Return the share of (positive, negative) pairs in the right order, ties counting half (Mann-Whitney)."""
    if not positive or not negative:
        return None
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))
