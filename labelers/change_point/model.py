"""The model behind ``change_point``: where a solution goes wrong, given what completions of its prefixes did.

A solution of T steps. Step i is wrong with a prior chance h_i that its surprise gives. A wrong step is *harmless* with
a fixed share: the policy goes on to succeed as if nothing had happened. The first wrong step is e; the first that is
wrong and not harmless, after which the solution is lost, is f >= e. Either may be absent, written T.

Evidence speaks of f. A prefix of t <= f steps is alive: V(t) ~ Beta with mean b^(1 - t/T), where b is the problem's
base rate, unknown and shared by its prefixes, and a precision that leaves room for jitter. A prefix of t > f steps is
lost: V(t) ~ Beta with the recovery rate as its mean. The solution's own outcome counts as the last completion.

Assumptions, and what their failure does (measured in the tests): V falls once and stays down, so a solution
that recovers half-way is read as alive; surprise and evidence are independent given the errors; steps are equally
hard, so b^(1 - t/T) is only a rough mean.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import exp, log
from operator import add, mul
from typing import NamedTuple

from stepforge.labelers.change_point.rates import Rates, log_beta_binomial

BASE_GRID = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Base rates that are summed over."""

LOG_BASES = tuple((log(base), log(1 - base)) for base in BASE_GRID)

Counts = tuple[int, int]
"""(successes, failures)"""

Priors = tuple[tuple[float, float], ...]
"""Parameters of a Beta for each base rate of the grid."""


class Observed(NamedTuple):
    """What is known of one solution."""

    chances: tuple[float, ...]
    """h_i, a step each."""
    agreement: tuple[Counts, ...]
    """Of the right rollouts through the prefix before each step, how many (do, do not) write that same step."""
    right: bool
    """Whether the solution's own answer is right."""
    root: Counts
    """Outcomes of completions of the bare question."""
    prefixes: tuple[Counts, ...]
    """Outcomes of all rollouts through the prefixes of 1 to T - 1 steps."""
    leaving: tuple[Counts, ...]
    """Outcomes of the rollouts that leave the solution's way after 0 to T - 1 steps: each counts once, at the last
    prefix that it shares."""


class Posterior(NamedTuple):
    """What follows."""

    first_error: tuple[float, ...]
    """Probability of each e; the last is that of no error."""
    joint: tuple[tuple[float, ...], ...]
    """Probability of (e, f)."""
    success: tuple[tuple[float, ...], ...]
    """``success[t - 1][f]``: probability that the next completion of the prefix of t steps succeeds, given f."""
    base: tuple[tuple[float, ...], ...]
    """``base[f]``: probability of each base rate of the grid, given f."""
    log_evidence: float
    """Log-probability of all that was observed."""


def prior(chances: Sequence[float], harmless: float) -> list[list[float]]:
    """Return P(e, f) before any outcome; index T stands for "never"."""
    steps = len(chances)
    joint = [[0.0] * (steps + 1) for _ in range(steps + 1)]
    reached = 1.0
    for e, chance in enumerate(chances):
        joint[e][e] = reached * chance * (1 - harmless)
        limbo = reached * chance * harmless
        for f in range(e + 1, steps):
            lost = chances[f] * (1 - harmless)
            joint[e][f] = limbo * lost
            limbo *= 1 - lost
        joint[e][steps] = limbo
        reached *= 1 - chance
    joint[steps][steps] = reached
    return joint


def posterior(seen: Observed, rates: Rates) -> Posterior:
    """Return the posterior of (e, f), and what further completions would do."""
    steps = len(seen.chances)
    weights = _log_likelihoods(seen, rates)  # [f][base rate]
    joint = prior(_agreed(seen, rates), rates.harmless)
    # The solution's own end: a lost one ends right only by recovery, one that was never lost ends right.
    lost_end = rates.recovery if seen.right else 1 - rates.recovery
    end = [lost_end] * steps + [1.0 if seen.right else 0.0]
    top = max(map(max, weights))
    likely = [[exp(w - top) for w in row] for row in weights]
    mass = [sum(row) for row in likely]
    unnormalised = [[joint[e][f] * end[f] * mass[f] for f in range(steps + 1)] for e in range(steps + 1)]
    total = sum(map(sum, unnormalised))
    if total <= 0:  # a wrong end where no step can have gone wrong: the chances were all but zero
        unnormalised = [[float(e == f < steps) for f in range(steps + 1)] for e in range(steps + 1)]
        total = float(steps)
    table = _tempered([[p / total for p in row] for row in unnormalised], rates.temper)
    base = tuple(
        tuple(p / whole if whole else 1 / len(row) for p in row) for row, whole in zip(likely, mass, strict=True)
    )
    return Posterior(
        first_error=tuple(sum(row) for row in table),
        joint=table,
        success=_next_success(seen, rates, base),
        base=base,
        log_evidence=log(total) + top + _log_agreement(seen, rates),
    )


def _log_agreement(seen: Observed, rates: Rates) -> float:
    """Return the log-probability of the agreement counts, each step wrong with its own chance."""
    total = 0.0
    for chance, (same, other) in zip(seen.chances, seen.agreement, strict=True):
        right = exp(log_beta_binomial(same, other, *rates.same_if_right))
        wrong = exp(log_beta_binomial(same, other, *rates.same_if_wrong))
        total += log((1 - chance) * right + chance * wrong)
    return total


def _tempered(table: list[list[float]], power: float) -> tuple[tuple[float, ...], ...]:
    """Raise the marginal of e to a power; what is known of f given e stays as it is."""
    marginal = [sum(row) for row in table]
    powered = [p**power for p in marginal]
    total = sum(powered)
    factors = [q / total / p if p > 0 else 0.0 for p, q in zip(marginal, powered, strict=True)]
    return tuple(tuple(p * factor for p in row) for row, factor in zip(table, factors, strict=True))


def _agreed(seen: Observed, rates: Rates) -> list[float]:
    """Return the chances after looking at what right rollouts wrote in each step's place.

    Policies that succeed seldom write a wrong step; how often they write the same right one is a rate of the policy,
    near 1 where there is one way to say it and near 0 in free prose, where this says nothing.
    """
    chances = []
    for chance, (same, other) in zip(seen.chances, seen.agreement, strict=True):
        right = log_beta_binomial(same, other, *rates.same_if_right)
        wrong = log_beta_binomial(same, other, *rates.same_if_wrong)
        odds = chance / (1 - chance) * exp(max(-50.0, min(50.0, wrong - right)))
        chances.append(min(max(odds / (1 + odds), 1e-6), 1 - 1e-6))
    return chances


def _log_likelihoods(seen: Observed, rates: Rates) -> list[list[float]]:
    """Return log P(evidence, base rate | f), for f = 0 to T and each base rate of the grid."""
    steps = len(seen.chances)
    lost = [log_beta_binomial(c, d, rates.lost_success, rates.lost_failure) for c, d in seen.leaving]
    lost_after = [0.0] * (steps + 1)  # [f]: prefixes of more than f steps
    for f in range(steps - 2, -1, -1):
        lost_after[f] = lost_after[f + 1] + lost[f + 1]
    successes = seen.root[0] + rates.base_success - 1
    failures = seen.root[1] + rates.base_failure - 1
    before = [successes * right + failures * wrong for right, wrong in LOG_BASES]
    rows = []
    for f, counts in enumerate(seen.leaving):
        at_error = _log_alive(counts, f, steps, rates.precision)
        rows.append([b + a + lost_after[f] for b, a in zip(before, at_error, strict=True)])
        alive = _log_alive(counts, f, steps, rates.precision, rates.detour)
        before = list(map(add, before, alive))
    return [*rows, before]


@lru_cache(maxsize=1 << 14)
def _log_alive(counts: Counts, t: int, steps: int, precision: float, share: float = 1.0) -> tuple[float, ...]:
    """Return the log-probability of what left an alive prefix of ``t`` steps, for each base rate."""
    return tuple(log_beta_binomial(*counts, *prior) for prior in alive_priors(t, steps, precision, share))


def _next_success(seen: Observed, rates: Rates, base: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    steps = len(seen.chances)
    table = []
    for t in range(1, steps):
        right, wrong = seen.prefixes[t - 1]
        lost = (rates.lost_success + right) / (rates.lost_success + rates.lost_failure + right + wrong)
        priors = alive_priors(t, steps, rates.precision)
        alive = [(success + right) / (rates.precision + right + wrong) for success, _ in priors]
        table.append(tuple(lost if f < t else sum(map(mul, base[f], alive)) for f in range(steps + 1)))
    return tuple(table)


@lru_cache(maxsize=4096)
def alive_priors(t: int, steps: int, precision: float, share: float = 1.0) -> Priors:
    """Return the Beta parameters of V(t), or of a share of it, for an alive prefix at each base rate."""
    means = [share * base ** (1 - t / steps) for base in BASE_GRID]
    return tuple((precision * mean, precision * (1 - mean)) for mean in means)


def information(post: Posterior, t: int) -> float:
    """Return the mutual information, in nats, of e and the outcome of one more completion of ``t`` steps."""
    success = post.success[t - 1]
    total = 0.0
    given = 0.0
    for row, weight in zip(post.joint, post.first_error, strict=True):
        joint = sum(map(mul, row, success))
        total += joint
        if weight > 0:
            given += weight * entropy(joint / weight)
    return max(0.0, entropy(total) - given)


def entropy(p: float) -> float:
    """Return the entropy of a coin, in nats."""
    return 0.0 if p <= 0 or p >= 1 else -p * log(p) - (1 - p) * log(1 - p)
