"""People's labels as truth, on all solutions that people judged; no labeler sees them.

Besides the figures that there are against the oracle: sets of steps that contain people's first error with a guaranteed
frequency (split conformal prediction). If people judged enough solutions, half of them, by a hash of their group, set
the posterior that a step must have to be in the set; the other half measure how often the set contains the truth (Lei
et al. 2018, JASA 113, p. 1094). The posteriors need not be right for this; the two halves only need to be alike.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256
from math import floor

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.reports.label_accuracy import Judged, counted, judge_problem, label_figures, step_auc
from stepforge.pipelines.reports.records import AgainstFigures, ErrorSetFigures
from stepforge.schemas.interval import share_of
from stepforge.schemas.labeled import LabeledProblem, StepClass, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout

_NOBODY = Verdict(labeler="people", first_error=None, abstained=True, reason="nobody judged it")
LEAST_LABELS = 100
"""Solutions judged by people, both halves together, below which no sets are given."""
LEVEL = 0.9
_Case = tuple[tuple[float, ...], int]
"""Posterior of each first error, no error last, and the index of the truth in it."""


class AgainstTruth:
    def __init__(self) -> None:
        self.counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self.aucs: dict[str, list[float]] = defaultdict(list)
        """Those of problems."""
        self.places: dict[str, Counter[str]] = defaultdict(Counter)

    def add_people(self, row: LabeledProblem, slices: list[str]) -> None:
        truths = [people_verdict(solution.rollout) or _NOBODY for solution in row.solutions]
        self.add(row, judge_problem(row, truths, unended=True), truths, slices)

    def add(
        self, row: LabeledProblem, judged: dict[str, list[Judged]], truths: list[Verdict], slices: list[str]
    ) -> None:
        for labeler, found in judged.items():
            counts = counted(found)
            for name in ("all", *slices):
                self.counts[labeler][name].update(counts)
            self.places[labeler].update(map(_place, found))
            auc = step_auc(row, labeler, truths)
            if auc is not None:
                self.aucs[labeler].append(auc)

    def figures(self) -> dict[str, AgainstFigures]:
        return {name: self.of(name) for name in self.counts}

    def of(self, labeler: str) -> AgainstFigures:
        slices, aucs = self.counts[labeler], self.aucs[labeler]
        return AgainstFigures(
            **dict(label_figures(slices["all"])),
            step_auc_within_problem=sum(aucs) / len(aucs) if aucs else None,
            first_error_places=dict(sorted(self.places[labeler].items())),
            by={key: label_figures(counts) for key, counts in sorted(slices.items()) if key != "all"},
        )


def _place(judged: Judged) -> str:
    """Return where a verdict puts the first error: steps after the true one, negative before it, or as a word."""
    named, true = judged.verdict.first_error, judged.truth.first_error
    if judged.verdict.abstained:
        return "abstained"
    if true is None:
        return "clean" if named is None else "false alarm"
    return "missed" if named is None else f"{named - true:+d}"


def people_verdict(rollout: Rollout) -> Verdict | None:
    """People's verdict on a solution, None if nobody judged it; people do not mark repaired steps."""
    said = rollout.people
    if said is None:
        return None
    classes: list[StepClass] = ["unknown"] * len(rollout.steps)
    for i in range(len(rollout.steps) if said.first_error is None else said.first_error + 1):
        classes[i] = "wrong" if i == said.first_error else "right"
    for i, rating in enumerate(said.ratings):
        classes[i] = "unknown" if rating is None else "wrong" if rating < 0 else "right"
    return Verdict(labeler="people", first_error=said.first_error, classes=tuple(classes))


def known_truth(problem: Problem, rollout: Rollout) -> Verdict:
    """People's verdict on a solution, else the oracle's; an abstention if there is neither."""
    return people_verdict(rollout) or oracle_verdict(problem, rollout)


class ErrorSets:
    def __init__(self) -> None:
        self._judged: dict[str, tuple[list[_Case], list[_Case]]] = defaultdict(lambda: ([], []))

    def add(self, row: LabeledProblem) -> None:
        half = in_half(row.problem.group)
        for solution in row.solutions:
            truth = people_verdict(solution.rollout)
            for verdict in () if truth is None else solution.verdicts:
                if truth is not None and verdict.posterior is not None:
                    named = len(solution.rollout.steps) if truth.first_error is None else truth.first_error
                    self._judged[verdict.labeler][half].append((verdict.posterior, named))

    def figures(self) -> dict[str, ErrorSetFigures]:
        """Return the sets of each labeler with a posterior; empty where people judged too few solutions."""
        found = {name: error_sets(*halves) for name, halves in self._judged.items()}
        return {name: sets for name, sets in found.items() if sets is not None}


def in_half(group: str) -> int:
    """Return the half, 0 (calibrates) or 1 (is measured), that a group of problems belongs to."""
    return int(sha256(group.encode()).hexdigest(), 16) % 2


def error_sets(calibrating: Sequence[_Case], measured: Sequence[_Case]) -> ErrorSetFigures | None:
    """Return the least posterior of a step in the set, and the coverage measured on the other half."""
    if len(calibrating) + len(measured) < LEAST_LABELS or not measured:
        return None
    given = sorted(posterior[truth] for posterior, truth in calibrating)
    place = floor((1 - LEVEL) * (len(given) + 1)) - 1
    least = given[place] if place >= 0 else 0.0
    sizes = [sum(p >= least for p in posterior) for posterior, _ in measured]
    held = sum(posterior[truth] >= least for posterior, truth in measured)
    return ErrorSetFigures(
        level=LEVEL,
        least_posterior=least,
        calibrated_on=len(given),
        measured_on=len(measured),
        held=share_of(held, len(measured)),
        mean_size=sum(sizes) / len(sizes),
    )
