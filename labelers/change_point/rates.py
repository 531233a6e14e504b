"""What the change-point model takes for known: how often steps err, what that does to V, and how V spreads.

The numbers are rates of a policy, not of a problem family, and may be pooled over a run (``change_point.pooling``).
"""

from functools import lru_cache
from math import exp, lgamma, log

from pydantic import Field

from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Step

LEAST_SURPRISE = 0.01
"""Nats; below it a token counts as certain."""


class Rates(Record):
    """Parameters of the model in ``labelers.change_point.model``."""

    hazard: float = -2.5
    """Log-odds that a step is wrong whose surprise is unknown."""
    surprise_intercept: float = 0.0
    """Log-odds that a step is wrong whose least expected token had a log-probability of -1 nat."""
    surprise_slope: float = Field(default=1.0, ge=0)
    """Change of those log-odds for each factor e in that surprise; 0 ignores it."""
    harmless: float = Field(default=0.15, gt=0, lt=1)
    """Share of wrong steps after which the policy succeeds as if they were right."""
    agreement: float = Field(default=0.5, gt=0, lt=1)
    """Share of right rollouts that write the same right step as the solution."""
    agreement_wrong: float = Field(default=0.1, gt=0, lt=1)
    """The same of a wrong step."""
    agreement_precision: float = Field(default=2.0, gt=0)
    detour: float = Field(default=0.7, gt=0, le=1)
    """What is left of V for a rollout that writes another step than the solution's where the solution's is right: 1
    where there are many ways to go on, near 0 where there is one."""
    precision: float = Field(default=5.0, gt=0)
    """Prior completions that the expected V of a right prefix is worth: low where V jumps about."""
    value_precision: float = Field(default=2.0, gt=0)
    """The same where a value is estimated and not a first error: the mean of V is rough, so it should weigh little."""
    lost_success: float = Field(default=0.2, gt=0)
    """Beta(lost_success, lost_failure) is V once a step is wrong and not harmless: recovery."""
    lost_failure: float = Field(default=4.0, gt=0)
    temper: float = Field(default=1.0, gt=0, le=1)
    """Power that the posterior of the first error is raised to before it is normalised: below 1 it admits that the
    model is sure of more than it knows. Measured where the truth is known."""
    base_success: float = Field(default=1.0, gt=0)
    """Beta(base_success, base_failure) is the base rate before anything is known of the problem."""
    base_failure: float = Field(default=1.0, gt=0)

    def error_chance(self, step: Step) -> float:
        """Return the prior probability that a step is wrong, given that all before it are right."""
        if step.lowest_logprob is None:
            return logistic(self.hazard)
        surprise = max(-step.lowest_logprob, LEAST_SURPRISE)
        return min(max(logistic(self.surprise_intercept + self.surprise_slope * log(surprise)), 1e-4), 0.999)

    @property
    def same_if_right(self) -> tuple[float, float]:
        """Beta parameters of the agreement on a right step."""
        return self.agreement_precision * self.agreement, self.agreement_precision * (1 - self.agreement)

    @property
    def same_if_wrong(self) -> tuple[float, float]:
        """Beta parameters of the agreement on a wrong step."""
        return self.agreement_precision * self.agreement_wrong, self.agreement_precision * (1 - self.agreement_wrong)

    @property
    def recovery(self) -> float:
        """Expected V once a step is wrong and not harmless."""
        return self.lost_success / (self.lost_success + self.lost_failure)


def logistic(x: float) -> float:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


@lru_cache(maxsize=1 << 16)
def log_beta_binomial(successes: int, failures: int, a: float, b: float) -> float:
    """Return the log-probability of one sequence of outcomes whose success rate is drawn from Beta(a, b)."""
    return (
        lgamma(a + successes)
        + lgamma(b + failures)
        - lgamma(a + b + successes + failures)
        - lgamma(a)
        - lgamma(b)
        + lgamma(a + b)
    )
