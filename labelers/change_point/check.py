"""Whether the completions of a solution contradict the change-point model: the check before its verdict is believed."""

from collections.abc import Sequence
from math import lgamma, log

import numpy as np

from stepforge.labelers.change_point.model import Observed, posterior
from stepforge.labelers.change_point.rates import Array, Rates

ODDS = 20.0
"""How much better completions must be foretold without the model's assumptions to contradict it."""


def contradicted(seen: Observed, rates: Rates) -> bool:
    """Whether completions of prefixes were foretold ``ODDS`` times better by what does without the model's assumptions.

    That is the mean of two laws: the chain with nothing free, and V anything at every prefix. Under the model the ratio
    has mean 1, whichever completion is asked for next, so that it exceeds 20 in at most 1 of 20 solutions (J. Ville
    1939, Etude critique de la notion de collectif).
    """
    after = np.arange(len(seen.written)) > 0
    drawn = [np.where(after, counts, 0.0) for counts in (seen.successes, seen.failures)]
    if not np.any(drawn):
        return False
    nothing, first = np.zeros(len(after)), ~after
    blind = seen._replace(
        successes=seen.successes + first * seen.left_right.sum(),
        failures=seen.failures + first * seen.left_wrong.sum(),
        left_right=nothing,
        left_wrong=nothing,
        written=nothing,
        stated=None,
        results=None,
        hazard=None,
    )
    ours, without = (_foretold(one, drawn, rates) for one in (seen, blind))
    chance = sum(lgamma(c + 1) + lgamma(f + 1) - lgamma(c + f + 2) for c, f in zip(*drawn, strict=True))
    return bool(np.logaddexp(without, chance) - log(2) - ours > log(ODDS))


def _foretold(seen: Observed, drawn: Sequence[Array], rates: Rates) -> float:
    """Return the log-probability of some of the completions given everything else."""
    rest = seen._replace(successes=seen.successes - drawn[0], failures=seen.failures - drawn[1])
    return posterior(seen, rates).log_evidence - posterior(rest, rates).log_evidence
