"""Rates pooled over a run (empirical Bayes): the ones under which what was observed is likeliest. No truth is used.

Maximises the summed log-probability of all evidence and outcomes under ``labelers.change_point.model`` (type-II maximum
likelihood), one rate after another on a shrinking grid, with a weak pull towards the defaults so that a small run
cannot run away with them.
"""

from collections.abc import Callable, Sequence
from math import exp, inf, log
from typing import NamedTuple

from stepforge.labelers.change_point.model import Observed, posterior
from stepforge.labelers.change_point.observations import Seen
from stepforge.labelers.change_point.rates import Rates

SWEEPS = 3
FIRST_STEP = 0.8
POWERS = tuple(i / 20 for i in range(2, 21))
HARMLESS = (0.03, 0.06, 0.12, 0.25, 0.5)
LEAST_SHARE = 1e-9
PULL = 2.0
"""Weight of the pull, in solutions: what a rate's departure by one step unit costs, in halves of a square."""


class _Rate(NamedTuple):
    name: str
    """Field of ``Rates``."""
    log_scale: bool
    """Whether steps multiply it."""


RATES = (
    _Rate("surprise_intercept", False),
    _Rate("surprise_slope", True),
    _Rate("hazard", False),
    _Rate("harmless", True),
    _Rate("agreement", True),
    _Rate("agreement_wrong", True),
    _Rate("agreement_precision", True),
    _Rate("detour", True),
    _Rate("precision", True),
    _Rate("lost_success", True),
    _Rate("lost_failure", True),
)


def pooled_rates(seen: Sequence[Seen], start: Rates, *, surprise: bool = True, passing: bool = True) -> Rates:
    """Return the rates of a run, starting from, and pulled towards, ``start``.

    Say which of the free signals count: a rate that nothing was observed of stays as it is.
    """
    told = surprise and any(step.lowest_logprob is not None for s in seen for step in s.path.steps)
    silent = not told or any(step.lowest_logprob is None for s in seen for step in s.path.steps)

    def score(rates: Rates) -> float:
        return sum(posterior(s.observed(rates, surprise=told), rates).log_evidence for s in seen) - _pull(rates, start)

    idle = set() if told else {"surprise_intercept", "surprise_slope"}
    idle |= set() if silent else {"hazard"}
    idle |= set() if passing else {"agreement", "agreement_wrong", "agreement_precision", "detour"}
    start = start if passing else start.model_copy(update={"detour": 1.0})
    wanted = [r for r in RATES if r.name not in idle]
    rates, best, step = start, score(start), FIRST_STEP
    for _ in range(SWEEPS):
        for rate in wanted:
            rates, best = _climb(rates, best, rate, step, score)
        step /= 2
    return rates


def measured_rates(cases: Sequence[tuple[Observed, int | None]], rates: Rates) -> Rates:
    """Return the rates with the two that pooling cannot learn without the truth, from solutions whose truth is known.

    ``harmless``: an error that does no harm leaves no trace in outcomes. ``temper``: how far the model is sure of more
    than it knows. Both by the mean log score of the true first errors.
    """
    best, best_score = rates, -inf
    for harmless in sorted({*HARMLESS, rates.harmless}):
        flat = rates.model_copy(update={"harmless": harmless, "temper": 1.0})
        beliefs = [(posterior(seen, flat).first_error, truth) for seen, truth in cases]
        for power in POWERS:
            score = sum(_log_score(shares, truth, power) for shares, truth in beliefs)
            if score > best_score:
                best, best_score = flat.model_copy(update={"temper": power}), score
    return best


def _log_score(shares: Sequence[float], truth: int | None, power: float) -> float:
    powered = [max(p, LEAST_SHARE) ** power for p in shares]
    return log(powered[-1 if truth is None else truth] / sum(powered))


def _climb(rates: Rates, best: float, rate: _Rate, step: float, score: Callable[[Rates], float]) -> tuple[Rates, float]:
    """Walk one rate up or down as long as that helps."""
    for direction in (step, -step):
        while (moved := _moved(rates, rate, direction)) is not None and (found := score(moved)) > best:
            rates, best = moved, found
    return rates, best


def _moved(rates: Rates, rate: _Rate, by: float) -> Rates | None:
    value: float = getattr(rates, rate.name)
    new = value * exp(by) if rate.log_scale else value + by
    if rate.name in ("harmless", "detour", "agreement", "agreement_wrong") and not 0.005 <= new <= 0.95:
        return None
    return rates.model_copy(update={rate.name: new}) if abs(new) < 100 and (not rate.log_scale or new > 0.01) else None


def _pull(rates: Rates, start: Rates) -> float:
    total = 0.0
    for rate in RATES:
        a, b = getattr(rates, rate.name), getattr(start, rate.name)
        total += ((log(a) - log(b)) if rate.log_scale and a > 0 and b > 0 else a - b) ** 2
    return PULL * total / 2
