"""``sprt``: bisection in which each prefix is settled by Wald's sequential probability ratio test.

A prefix is alive if its V is ``v1`` = 0.8 of the question's own (at least 0.2), and lost if it is a quarter of that.
Each completion moves the log-likelihood ratio; a prefix is settled at ln ``odds`` either way, or by the likelier side
after ``most`` completions (A. Wald 1945, Annals of Mathematical Statistics 16, p. 117). No rates are fitted.
"""

from math import exp, inf, log
from typing import Literal, NamedTuple

from pydantic import Field

from stepforge.labelers.bisection import bisected
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory
from stepforge.labelers.labeling import Search
from stepforge.schemas.labeled import StepLabel, Verdict


class Ratio(NamedTuple):
    """What one completion adds to the log-likelihood ratio of alive to lost."""

    success: float
    failure: float

    def of(self, label: StepLabel) -> float:
        return label.successes * self.success + label.failures * self.failure


class SPRT(Search):
    """Bisection by sequential tests; right solutions are skipped."""

    kind: Literal["sprt"] = "sprt"
    odds: float = Field(default=6.0, gt=1)
    """Likelihood ratio at which a prefix is settled."""
    most: int = Field(default=16, ge=1)
    """Completions of a prefix after which the likelier side is taken."""
    root: int = Field(default=4, ge=1)
    """Samples of the question that its base rate is taken from, the given solutions included."""

    @property
    def asked_first(self) -> int:
        return self.root

    async def search(self, path: Trajectory, evidence: Evidence, budget: float = inf) -> Verdict:
        """Return the verdict on a solution, drawing at most ``budget`` completions."""
        ratio, left = base_ratio(evidence), budget

        def settled(seen: StepLabel) -> bool:
            return abs(ratio.of(seen)) >= log(self.odds)

        async def alive(count: int) -> bool | None:
            nonlocal left
            known = len(evidence.completions(path, count))
            most = int(min(self.most, known + left))
            label = await evidence.until(path, count, min(1, most), most, settled)
            left -= len(evidence.completions(path, count)) - known
            return ratio.of(label) > 0 if label.trials else None

        return await bisected(self.name, path, alive)


def base_ratio(evidence: Evidence) -> Ratio:
    """Return the test for a problem, from the share of right ones among its samples of the question."""
    root = evidence.label(QUESTION, 0)
    base = None if root is None else root.value
    v1 = max(0.2, 0.8 * (0.5 if base is None else base))
    return Ratio(log(4.0), log((1 - v1) / (1 - v1 / 4)))


def two_values(path: Trajectory, evidence: Evidence) -> tuple[float, ...]:
    """Return the posterior of the first error, and of none last, if V has the test's two values alone."""
    ratio, log_odds = base_ratio(evidence), [0.0]
    for count in range(1, len(path.steps)):
        label = evidence.label(path, count)
        log_odds.append(log_odds[-1] + (ratio.of(label) if label is not None else 0.0))
    weights = [exp(one - max(log_odds)) for one in log_odds]
    return (*(weight / sum(weights) for weight in weights), 0.0)
