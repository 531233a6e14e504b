"""Two opinions on one solution: kept where they agree (arXiv 2501.07301, section 3.2), or fused by measured errors.

``agreed`` is the published filter: a verdict stands where both labelers name the same first error, and is marked, not
dropped, where they differ. ``fused`` weighs each labeler by its measured error rates where the truth is known (Dawid
and Skene 1979, Applied Statistics 28, p. 20, with the error rates taken from the oracle split instead of estimated):
with independent errors the odds of a first error are the product of the labelers' own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import exp, log
from typing import Literal

from stepforge.labelers.labeling import LabelPart, abstention, likeliest
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.record import Record

ORACLE = "oracle"
DISAGREE = "labelers disagree"
NOBODY = "every labeler abstains"
SMOOTHING = 0.5
"""Added to each count of the measured table, so that nothing is impossible."""


class Consensus(LabelPart):
    """In a run's list of labelers it runs last, on the others' verdicts. Listed first, its verdicts are the run's."""

    completes = False
    kind: Literal["consensus"] = "consensus"
    of: tuple[str, ...] = ()
    """Labelers of the run; by default all but the oracle."""

    def combine(self, verdicts: Sequence[Verdict]) -> Verdict:
        return agreed(self.name, [v for v in verdicts if (v.labeler in self.of if self.of else v.labeler != ORACLE)])


def agreed(name: str, verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict that all labelers share, or an abstention marked with what each of them said."""
    if all(v.abstained for v in verdicts):
        return abstention(name, NOBODY)
    said = {_said(v) for v in verdicts}
    if len(said) == 1 and not verdicts[0].abstained:
        return Verdict(labeler=name, first_error=verdicts[0].first_error)
    opinions = ", ".join(f"{v.labeler} {_said(v)}" for v in verdicts)
    return abstention(name, f"{DISAGREE}: {opinions}")


def _said(verdict: Verdict) -> str:
    if verdict.abstained:
        return "abstains"
    return "no error" if verdict.first_error is None else f"step {verdict.first_error + 1}"


class Skill(Record):
    """Counts of a labeler's verdicts on solutions with a known truth."""

    labeler: str
    erroneous: dict[str, int]
    """On solutions with an error, counts of ``exact``, ``none``, ``before``, ``after`` and ``abstained``."""
    clean: dict[str, int]
    """On solutions without one, counts of ``none``, ``step`` and ``abstained``."""

    def log_likelihood(self, verdict: Verdict, truth: int | None, steps: int) -> float:
        """Return log P(verdict | first error), the miss spread evenly over the steps it may name."""
        if truth is None:
            counts, places = self.clean, {"abstained": 1, "none": 1, "step": steps}
        else:
            counts = self.erroneous
            places = {"exact": 1, "none": 1, "abstained": 1, "before": truth, "after": steps - 1 - truth}
        # Restricted to what is possible: no step is before the first
        shares = {kind: counts.get(kind, 0) + SMOOTHING for kind, count in places.items() if count}
        said = relation(verdict, truth)
        return log(shares[said] / sum(shares.values()) / places[said])


def relation(verdict: Verdict, truth: int | None) -> str:
    """Classify a verdict on a solution whose first error is known."""
    if verdict.abstained:
        return "abstained"
    if verdict.first_error is None:
        return "none"
    if truth is None:
        return "step"
    if verdict.first_error == truth:
        return "exact"
    return "before" if verdict.first_error < truth else "after"


def skills_of(cases: Iterable[tuple[Verdict, int | None]]) -> tuple[Skill, ...]:
    counts: dict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for verdict, truth in cases:
        counts[verdict.labeler][truth is None][relation(verdict, truth)] += 1
    return tuple(Skill(labeler=name, erroneous=dict(bad), clean=dict(good)) for name, (bad, good) in counts.items())


def fused(
    name: str, verdicts: Sequence[Verdict], skills: Mapping[str, Skill], steps: int, *, sure: float = 0.5
) -> Verdict:
    """Return the likeliest first error given all verdicts; a priori, errors are as frequent as measured, and every step
    is equally likely to be the first.

    Only decisions are fused, not posteriors, so any two labelers can be combined.
    """
    if all(v.abstained for v in verdicts):
        return abstention(name, NOBODY)
    truths: list[int | None] = [*range(steps), None]
    before = _prior(skills[verdicts[0].labeler], steps)
    scores = [
        before[i] + sum(skills[v.labeler].log_likelihood(v, truth, steps) for v in verdicts)
        for i, truth in enumerate(truths)
    ]
    weights = [exp(score - max(scores)) for score in scores]
    return likeliest(name, tuple(weight / sum(weights) for weight in weights), sure, DISAGREE)


def _prior(skill: Skill, steps: int) -> list[float]:
    """Log-probabilities: the measured share of solutions with an error, uniform over steps."""
    wrong, right = sum(skill.erroneous.values()) + 1, sum(skill.clean.values()) + 1
    return [log(wrong / (wrong + right) / steps)] * steps + [log(right / (wrong + right))]
