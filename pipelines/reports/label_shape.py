"""What the labels look like, and proxies for an unknown truth.

Agreement of labelers is not accuracy: labelers that use the same completions err alike. Held-out completions were drawn
after labeling (``contrast``), so no label was made from them; their outcomes test the values measured before.
Calibration needs a truth: the oracle's, else people's.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

from stepforge.labelers.consensus import Consensus
from stepforge.pipelines.exports.marked import measured
from stepforge.pipelines.reports.people import people_verdict
from stepforge.pipelines.reports.records import (
    Agreement,
    Calibration,
    CalibrationBin,
    HeldOutBin,
    LabelShape,
    Position,
    ValueBin,
)
from stepforge.schemas.interval import Share, share_of
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict

BINS = 10
CONSENSUS = Consensus().name
LAST_POSITION = 20
"""First errors at later steps are counted together."""


class _Bin:
    def __init__(self) -> None:
        self.count, self.hits, self.total = 0, 0, 0.0

    def add(self, value: float, *, hit: bool = False) -> None:
        self.count += 1
        self.hits += hit
        self.total += value

    @property
    def mean(self) -> float:
        return round(self.total / self.count, 5)

    @property
    def share(self) -> Share:
        found = share_of(self.hits, self.count)
        assert found is not None  # a bin exists once something is in it
        return found


class ShapeTally:
    def __init__(self) -> None:
        self._steps: Counter[str] = Counter()
        self._solutions: Counter[str] = Counter()
        self._values: dict[int, _Bin] = defaultdict(_Bin)
        self._held_out: dict[int, _Bin] = defaultdict(_Bin)
        self._labeled: Counter[int] = Counter()
        self._true: Counter[int] = Counter()
        self._sure: dict[tuple[str, str], dict[int, _Bin]] = defaultdict(lambda: defaultdict(_Bin))
        self._pairs: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, row: LabeledProblem, truths: Sequence[Verdict]) -> None:
        for solution, truth in zip(row.solutions, truths, strict=True):
            self._count(solution, truth)
            self._compare(solution)
            people = people_verdict(solution.rollout)
            if truth.classes is not None and solution.rollout.outcome != "undetermined":
                self._calibrate(solution, truth, "oracle")
            elif people is not None:
                self._calibrate(solution, people, "people")

    def add_held_out(self, row: LabeledProblem) -> None:
        solutions = {solution.rollout.id: solution for solution in row.solutions}
        for rollout in row.further:
            start = rollout.start
            solution = solutions.get(start.rollout) if start and start.steps else None
            if start is None or solution is None or rollout.outcome == "undetermined":
                continue
            known = measured(solution.labels[start.steps - 1])
            if known is not None:
                self._held_out[_tenth(known.value)].add(known.value, hit=rollout.outcome == "correct")

    def figures(self) -> LabelShape:
        last = max((*self._labeled, *self._true), default=0)
        return LabelShape(
            steps=dict(self._steps),
            solutions=dict(self._solutions),
            values=tuple(
                ValueBin(low=i / BINS, steps=b.count, mean_width=b.mean) for i, b in sorted(self._values.items())
            ),
            positions=tuple(Position(step=i, labeled=self._labeled[i], true=self._true[i]) for i in range(1, last + 1)),
            calibration=tuple(_calibration(*key, bins) for key, bins in self._sure.items()),
            agreement=tuple(Agreement.of(counts, labelers=pair) for pair, counts in self._pairs.items()),
            held_out=tuple(
                HeldOutBin(low=i / BINS, completions=b.count, mean_value=b.mean, ended_right=b.share)
                for i, b in sorted(self._held_out.items())
            ),
        )

    def _count(self, solution: LabeledSolution, truth: Verdict) -> None:
        verdict, steps = solution.verdict, len(solution.rollout.steps)
        said = "abstained" if verdict.abstained else "no wrong step" if verdict.first_error is None else "wrong step"
        self._solutions[f"{solution.rollout.outcome}, {said}"] += 1
        error = verdict.first_error
        right = 0 if verdict.abstained else steps if error is None else error
        self._steps["right"] += right
        self._steps["wrong"] += error is not None
        self._steps["after an error"] += steps - right - 1 if error is not None else 0
        self._steps["no verdict"] += steps if verdict.abstained else 0
        for label in solution.labels:
            known = measured(label)
            if known is not None:
                self._values[_tenth(known.value)].add(known.high - known.low)
        if error is not None:
            self._labeled[min(error + 1, LAST_POSITION)] += 1
        if truth.first_error is not None:
            self._true[min(truth.first_error + 1, LAST_POSITION)] += 1

    def _compare(self, solution: LabeledSolution) -> None:
        speaking = [v for v in solution.verdicts if v.labeler != CONSENSUS]
        for one, other in combinations(speaking, 2):  # a consensus agrees with its own members
            counts = self._pairs[one.labeler, other.labeler]
            if one.abstained or other.abstained:
                continue
            same = one.first_error == other.first_error
            finds = one.first_error is not None or other.first_error is not None
            counts.update({"both": 1, "same": same, "finds": finds, "same step": same and finds})

    def _calibrate(self, solution: LabeledSolution, truth: Verdict, name: str) -> None:
        for verdict in solution.verdicts:
            if verdict.posterior and not verdict.abstained:
                posterior = verdict.posterior[-1 if verdict.first_error is None else verdict.first_error]
                bins = self._sure[verdict.labeler, name]
                bins[_tenth(posterior)].add(posterior, hit=verdict.first_error == truth.first_error)


def _tenth(value: float) -> int:
    return min(BINS - 1, max(0, int(value * BINS)))


def _calibration(labeler: str, truth: str, bins: dict[int, _Bin]) -> Calibration:
    count = sum(b.count for b in bins.values())
    return Calibration(
        labeler=labeler,
        truth=truth,
        verdicts=count,
        mean_gap=round(sum(abs(b.mean - b.share.share) * b.count for b in bins.values()) / count, 5),
        bins=tuple(
            CalibrationBin(low=i / BINS, verdicts=b.count, mean_posterior=b.mean, right=b.share)
            for i, b in sorted(bins.items())
        ),
    )
