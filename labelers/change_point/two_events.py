"""The wrong step and the fall of V as two events: one may come without the other, or earlier."""

from math import exp
from typing import NamedTuple

import numpy as np

from stepforge.labelers.change_point.model import Observed, posterior
from stepforge.labelers.change_point.rates import Rates

MOST_FURTHER = 5
"""Further steps up to which ``unseen`` counts: longer solutions were not measured."""


def reported(seen: Observed, rates: Rates) -> tuple[float, ...]:
    """Return the posterior of the first wrong step as verdicts report it.

    The wrong step and the fall of V may be two events: the policy succeeds after an error as before, or fails before it
    is written. Then V tells of the one, and what is stated and how sure the policy was of each step of the other.
    """
    events = two_events(seen, rates)
    hidden = hidden_share(rates.unseen, len(seen.written))
    odds = hidden * exp(min(events.speaks, 50.0))
    share = odds / (1 - hidden + odds)
    pairs = zip(events.shown, events.hidden, strict=True)
    return tuple((1 - share) * shown + share * apart for shown, apart in pairs)


class TwoEvents(NamedTuple):
    """What follows if V shows the first wrong step, and if it does not."""

    shown: tuple[float, ...]
    """Probability of each first wrong step, none last."""
    hidden: tuple[float, ...]
    speaks: float
    """By how much all that is seen speaks for the second, in nats."""


def two_events(seen: Observed, rates: Rates) -> TwoEvents:
    """Return both readings of what is seen."""
    nothing = np.zeros(len(seen.written))
    silent = seen._replace(successes=nothing, failures=nothing, left_right=nothing, left_wrong=nothing)
    whole, signs = posterior(seen, rates), posterior(silent, rates)
    speaks = 0.0
    if seen.stated is not None:
        values, neither = (posterior(one._replace(stated=None), rates).log_evidence for one in (seen, silent))
        speaks = values + signs.log_evidence - neither - whole.log_evidence
    return TwoEvents(whole.first_error, signs.first_error, speaks)


def hidden_share(unseen: float, steps: int) -> float:
    """Return the chance that V does not show the first wrong step of so many."""
    return 1 - (1 - unseen) ** min(steps - 1, MOST_FURTHER)
