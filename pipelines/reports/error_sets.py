"""Sets of steps that contain people's first error with a guaranteed frequency: split conformal prediction.

If people judged enough solutions, half of them, by a hash of their group, set the posterior that a step must have to be
in the set; the other half measure how often the set contains the truth (Lei et al. 2018, JASA 113, p. 1094). The
posteriors need not be right for this; the two halves only need to be alike.
"""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from math import floor

from stepforge.pipelines.reports.people import people_verdict
from stepforge.pipelines.reports.records import ErrorSetFigures
from stepforge.pipelines.reports.share import share_of
from stepforge.schemas.labeled import LabeledProblem

LEAST_LABELS = 100
"""Solutions judged by people, both halves together, below which no sets are given."""
LEVEL = 0.9


class ErrorSets:
    def __init__(self) -> None:
        self._judged: dict[str, tuple[list[_Case], list[_Case]]] = defaultdict(lambda: ([], []))

    def add(self, row: LabeledProblem) -> None:
        half = in_half(row.problem.group)
        for solution in row.solutions:
            truth = people_verdict(solution.rollout)
            for verdict in () if truth is None else (solution.verdict, *solution.others):
                if truth is not None and verdict.posterior is not None:
                    named = len(solution.rollout.steps) if truth.first_error is None else truth.first_error
                    self._judged[verdict.labeler][half].append((verdict.posterior, named))

    def figures(self) -> dict[str, ErrorSetFigures]:
        """Return the sets of each labeler with a posterior; empty where people judged too few solutions."""
        found = {name: error_sets(*halves) for name, halves in self._judged.items()}
        return {name: sets for name, sets in found.items() if sets is not None}


_Case = tuple[tuple[float, ...], int]
"""Posterior of each first error, no error last, and the index of the truth in it."""


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
