"""People's labels as truth: the same figures as against the oracle, on all solutions that people judged.

They are used only here: no labeler sees them.
"""

from collections import Counter, defaultdict

from stepforge.pipelines.reports.label_accuracy import Judged, counted, judge_problem, label_figures, step_auc
from stepforge.pipelines.reports.records import AgainstFigures
from stepforge.schemas.labeled import LabeledProblem, StepClass, Verdict
from stepforge.schemas.rollout import Rollout

_NOBODY = Verdict(labeler="people", first_error=None, abstained=True, reason="nobody judged it")


class AgainstTruth:
    def __init__(self) -> None:
        self.counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self.aucs: dict[str, tuple[float, int]] = {}
        """Sum and number of those of problems."""
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
                total, count = self.aucs.get(labeler, (0.0, 0))
                self.aucs[labeler] = total + auc, count + 1

    def figures(self) -> dict[str, AgainstFigures]:
        return {name: self.of(name) for name in self.counts}

    def of(self, labeler: str) -> AgainstFigures:
        slices = self.counts[labeler]
        total, count = self.aucs.get(labeler, (0.0, 0))
        return AgainstFigures(
            **dict(label_figures(slices["all"])),
            step_auc_within_problem=total / count if count else None,
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
