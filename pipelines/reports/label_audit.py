"""The label audit: error rates of the exported labels, measured on the run's own problems with a known truth.

Counted per step, as ``stepwise`` exports them: every step before the named first error is labeled right, the named one
wrong, later ones not at all. Solutions on which the labeler abstains export nothing; their share is given.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from stepforge.labelers.oracle import judge
from stepforge.pipelines.exports.last_problem import forks_of
from stepforge.pipelines.reports.records import AuditFigures, PairFigures
from stepforge.schemas.labeled import LabeledProblem, Verdict


def labeled_steps(verdict: Verdict, truth: Verdict) -> Iterable[tuple[bool, bool]]:
    """Yield, for each step with both known, whether it is labeled right and whether it is right."""
    classes = truth.classes or ()
    last = len(classes) - 1 if verdict.first_error is None else verdict.first_error
    for i, step in enumerate(classes[: last + 1]):
        if step != "unknown":
            yield i != verdict.first_error, step == "right"


class Audit:
    """Adds up rows; holds counts only."""

    def __init__(self) -> None:
        self._slices: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, row: LabeledProblem, truths: Sequence[Verdict | None], slices: Sequence[str]) -> None:
        """Add a problem with the truth of each solution; one without any does not count."""
        truths = [None if truth is None or truth.abstained else truth for truth in truths]
        if not any(truths):
            return
        counts = Counter(["problems"])
        for solution, truth in zip(row.solutions, truths, strict=True):
            if truth is not None:
                counts.update(_marks(solution.verdict, truth))
        for name in ("all", *slices):
            self._slices[name].update(counts)

    def figures(self) -> dict[str, AuditFigures]:
        slices = sorted(self._slices.items(), key=lambda one: (one[0] != "all", one[0]))
        return {name: AuditFigures.of(counts) for name, counts in slices}


def _marks(verdict: Verdict, truth: Verdict) -> Iterable[str]:
    yield "solutions"
    if verdict.abstained:
        yield "abstained"
        return
    yield "decided"
    if verdict.first_error == truth.first_error:
        yield "exact"
    for labeled_right, right in labeled_steps(verdict, truth):
        kind = "right" if labeled_right else "wrong"
        yield kind
        if labeled_right != right:
            yield f"{kind} mistaken"


class PairAudit:
    """How many first errors make a pair of steps, and how often the pair is right by the known truth.

    Counted over the curated rows, before pairs are thinned; a pair is what ``step_preference`` exports by default.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, row: LabeledProblem, truths: Sequence[Verdict]) -> None:
        known = {solution.rollout.id: truth for solution, truth in zip(row.solutions, truths, strict=True)}
        for solution, fork in forks_of(row):
            apart = fork.margin > 0
            self._counts.update({"first errors": 1, "with a right step": fork.right is not None, "apart": apart})
            if apart and fork.right is not None and row.problem.truth is not None:
                chosen, rejected = (judge(row.problem, (*fork.prefix, b.step))[-1] for b in (fork.right, fork.wrong))
                placed = known[solution.rollout.id].first_error == fork.error
                self._counts.update(checked=1, right=(chosen, rejected) == ("right", "wrong"), placed=placed)

    def figures(self) -> PairFigures:
        return PairFigures.of(self._counts)
