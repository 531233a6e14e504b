"""Rates pooled over a run (empirical Bayes): those under which its evidence is likeliest. No truth is used.

Baum-Welch (Baum et al. 1970, Annals of Mathematical Statistics 41, p. 164) on the mixtures of ``change_point.rates``,
with a few invented transitions so that a small run cannot run away with them.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from stepforge.labelers.change_point.model import Observed, expected, posterior
from stepforge.labelers.change_point.rates import (
    ALONE,
    ANSWER,
    BACKED,
    FALSE,
    NOTHING,
    OTHER,
    UNKNOWN,
    Array,
    OfSteps,
    Rates,
    kernels,
)
from stepforge.labelers.change_point.values import foretold, weights_of

ROUNDS = 8
INVENTED = 10.0
"""Solutions' worth of transitions that go as the rates to start from say."""
NOTHING_SAID = (0.5, 0.5, 0.5)
ALIKE = {
    "nothing": (0.25, 0.04, 0.1),
    "backed": (0.8, 0.08, 0.1),
    "alone": (0.3, 0.9, 0.8),
    "results": NOTHING_SAID,
    "confirmed": NOTHING_SAID,
}
"""Where fitting what steps state begins again if right solutions back as many right steps as this says, which is so on
procedural problems and not in people's texts. Whether a step that none backs does no harm or is only written another
way, a run cannot tell: it depends on where fitting begins. Where they do not, a small run learns wrong rates, and those
to start from stay."""
UNLIKE_TEMPER = 0.9
"""Greatest ``temper`` then, where other solutions are read: what people's labels say of four recordings by a real model
(docs/real_model.md)."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.9)
"""Shares of errors that V does not show at once that are tried."""
POWERS = tuple(i / 20 for i in range(4, 21))


def pooled_rates(seen: Sequence[Observed], start: Rates, *, siblings: bool = True) -> Rates:
    """Return the rates of a run, starting from, and pulled towards, ``start``, or ``ALIKE``. ``siblings``: whether what
    the other solutions state is in ``seen``."""
    if not seen:
        return start
    rates = _fitted(seen, start)
    if any(one.stated is not None for one in seen):
        alike = rates.backed[0] >= ALIKE["backed"][0]
        rates = _fitted(seen, start.model_copy(update=ALIKE)) if alike else _as_in_prose(seen, rates, start, siblings)
    return rates.model_copy(update={"ends": fitted_ends(seen, rates)})


def _as_in_prose(seen: Sequence[Observed], rates: Rates, start: Rates, siblings: bool) -> Rates:
    kept: dict[str, object] = {name: getattr(start, name) for name in ALIKE}
    looked_at = sum(one.stated is not None for one in seen)
    if siblings and 2 * looked_at > len(seen) and any(one.results is not None for one in seen):
        kept["temper"] = min(start.temper, UNLIKE_TEMPER)
    return rates.model_copy(update=kept)


def _fitted(seen: Sequence[Observed], start: Rates) -> Rates:
    rates = start
    for _ in range(ROUNDS):
        rates = _improved(seen, rates, start)
    return rates


def fitted_ends(seen: Sequence[Observed], rates: Rates) -> float:
    """Return the ``ends`` under which completions are likeliest that the model was not shown, pulled towards those of
    ``rates``.

    The other rates are left alone: completions foretell V, and not which of two steps beside its fall was wrong.
    """
    cases = [case for one in seen for case in _held_out(one, rates)]

    def score(ends: float) -> float:
        invented = rates.ends * np.log(ends) + (1 - rates.ends) * np.log(1 - ends)
        return float(sum(np.log(foretold(*case, ends)) for case in cases) + invented)

    return max(POWERS[:-1], key=score)


def _held_out(seen: Observed, rates: Rates) -> Iterator[tuple[Array, int, int]]:
    """Yield the law of V at each prefix that completions were drawn from, as known without these, and their counts."""
    for t in range(1, len(seen.written)):
        right, wrong = int(seen.successes[t]), int(seen.failures[t])
        if right + wrong:
            others = np.arange(len(seen.written)) != t
            rest = seen._replace(successes=seen.successes * others, failures=seen.failures * others)
            yield weights_of(posterior(rest, rates), t), right, wrong


def _improved(seen: Sequence[Observed], rates: Rates, start: Rates) -> Rates:
    """One round: expected moves under the present rates, and the rates that fit them best."""
    found = [expected(one, rates) for one in seen]
    laws, steps = kernels(), sum(len(one.written) for one in seen) / len(seen)
    moved: Array = np.sum([f.moved for f in found], axis=0)
    dropped: Array = np.sum([f.dropped for f in found], axis=0)
    stated: Array = np.sum([f.stated for f in found], axis=0)[:, :ANSWER]
    others = stated.sum(axis=1) - stated[:, FALSE]
    compared = others - stated[:, NOTHING] - stated[:, UNKNOWN]
    names = ("events", "exposure", "repairs", "lost")
    hits, exposure, repairs, lost = (sum(getattr(f, name) for f in found) for name in names)
    moves = _shares(moved, np.array(rates.all_moves), laws.moves, INVENTED * steps * np.array(start.all_moves))
    return rates.model_copy(
        update={
            "hazard": (hits + INVENTED * start.hazard) / (exposure + INVENTED),
            "repair": (repairs + INVENTED * start.repair) / (lost + INVENTED),
            "false": (start.false[0], *_chances(stated[:, FALSE], stated.sum(axis=1), start.false)[1:]),
            "nothing": _chances(stated[:, NOTHING], others, start.nothing),
            "backed": _chances(stated[:, BACKED], compared, start.backed),
            "alone": _chances(stated[:, ALONE], stated[:, ALONE] + stated[:, OTHER], start.alone),
            "moves": tuple(share / sum(moves[:-1]) for share in moves[:-1]),
            "anywhere": moves[-1],
            "drops": _shares(dropped, np.array(rates.drops), laws.drops, INVENTED * np.array(start.drops)),
        }
    )


def _shares(expected: Array, weights: Array, laws: Array, invented: Array) -> tuple[float, ...]:
    """Return the weights of a mixture after one round."""
    parts = weights[:, None, None] * laws
    blame = parts / np.maximum(parts.sum(axis=0), 1e-300)
    counts = (blame * expected).sum(axis=(1, 2)) + invented
    return tuple((counts / counts.sum()).tolist())


def _chances(hits: Array, of: Array, start: OfSteps) -> tuple[float, ...]:
    return tuple(((hits + INVENTED * np.array(start)) / (of + INVENTED)).tolist())


def calibrated(seen: Sequence[Observed], findings: Sequence[Sequence[float]], rates: Rates) -> Rates:
    """Return the rates with the ``harmless``, ``early`` and ``temper`` under which people's findings are likeliest.

    ``findings[i]`` is the likelihood of what was found of solution i for each first wrong step, and for none last.
    """

    def score(one: Rates) -> float:
        chances = (
            np.dot(posterior(case, one).first_error, likely) for case, likely in zip(seen, findings, strict=True)
        )
        return sum(float(np.log(max(p, 1e-9))) for p in chances)

    best = rates
    for name, values in (("harmless", product(SHARES, repeat=2)), ("early", SHARES), ("temper", POWERS)):
        best = max((best.model_copy(update={name: value}) for value in values), key=score)
    return best
