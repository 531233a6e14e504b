"""The model behind ``change_point``: where a solution goes wrong, given what completions of its prefixes did.

V(t), the policy's chance to end right from the first t steps, is a hidden Markov chain on a grid, in four regimes:
*right* so far, *lost* since a wrong step, *repaired* since, *early*. Over a right step V mostly moves a little or
rises; at a wrong step it drops, mostly to the floor; once lost it stays there until a repair. Some wrong steps do no
harm at once: V moves as over a right step, the chain is in the third regime, and further errors are likelier there.
Sometimes V drops before the wrong step is written, seldom at the start: then the chain is in the fourth regime, and the
wrong step follows soon. The first wrong step is where it enters the second or third. Each rollout's outcome counts
once: a completion as a trial of V where it was drawn, another solution of the problem where it leaves this one. If the
policy writes the solution's next step with probability q, then V(t) = q V(t+1) + (1 - q) w, and those who leave at t
end right with probability w. A step that the policy was sure of cannot lose much, V(t) - V(t+1) <= 1 - q, and is wrong
with a chance that falls with 1 - q. In free text q is near 0: then w is V(t), and none of this says anything. What a
step states counts besides: a false equation, what no right solution says, or a result that right rollouts which were
not given the step do not state, is likelier at a wrong step.

Forward and backward sums cost O(grid^2 T) (Rabiner 1989, Proceedings of the IEEE 77, p. 257).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.labelers.change_point.rates import ANSWER, BASE_LAW, GRID, KINDS, SIZE, Array, Rates, kernels, mixtures

RIGHT, LOST, REPAIRED, EARLY = (slice(i * SIZE, (i + 1) * SIZE) for i in range(4))
"""Places of the regimes in a state vector."""
ERRED = slice(SIZE, 3 * SIZE)
"""Lost or repaired: a wrong step is behind."""
MISGRADED = 0.02
"""Chance that the reference or the grader is wrong about the solution's own answer."""
AGAIN = 2.0
"""How much likelier another wrong step is after one that did no harm at once."""
FOLLOWS = 0.7
"""Chance, for each step after V fell early, that the wrong step is written."""
SLACK = 0.1
"""How far V(t) = q V(t+1) + (1 - q) w may be missed, about the width of the grid's cells."""


class Observed(NamedTuple):
    """What is known of one solution of T steps; all arrays have T entries."""

    right: bool
    """Whether its own answer is right."""
    successes: Array
    """``[t]``: right completions drawn from its first t steps; of the question, its own answer too."""
    failures: Array
    left_right: Array
    """``[t]``: right solutions of the problem that leave it after t steps."""
    left_wrong: Array
    written: Array
    """``[t]``: q, the probability that the policy writes its step t + 1 word for word; 0 where nobody knows."""
    stated: NDArray[np.intp] | None = None
    """``[t]``: what step t + 1 states, as ``rates`` counts it; None: not looked at."""
    results: NDArray[np.intp] | None = None
    """``[t, 2]``: right rollouts that state the result of step t + 1, and of how many; ``rates.NO_RESULT``."""
    hazard: Array | None = None
    """``[t]``: a reward model's probability that step t + 1 is wrong, all before it being right."""


class Posterior(NamedTuple):
    """What follows."""

    first_error: tuple[float, ...]
    """Probability of each first wrong step; the last is that of none."""
    states: Array
    """``[t, state]`` for 0 to T steps, before tempering."""
    log_evidence: float
    """Log-probability of all that was observed."""
    trusted: bool = True
    """Whether completions do not contradict the model; if they do, ``first_error`` is from elsewhere."""


class Expected(NamedTuple):
    """Expected counts of one solution, for rates to be fitted to."""

    moved: Array
    """``[from, to]``: steps that are right, by V before and after, and wrong ones that do no harm."""
    dropped: Array
    """The same of the other steps at which V falls."""
    repairs: float
    lost: float
    """Share of the solution that is lost."""
    events: float
    """Wrong steps, in units of ``hazard`` times ``exposure``."""
    exposure: float
    stated: Array
    """``[right, first wrong, after; what is stated]``: steps."""


class _Passes(NamedTuple):
    """``[t, from, to]`` laws of each step with what was drawn and left before it, and both passes over them."""

    chain: Array
    forward: Array
    """``[t, state]``, each row scaled to sum to 1."""
    ahead: Array
    """``[t, state]`` after step t + 1, so scaled that a step's joint probabilities sum to 1."""
    states: Array
    log_evidence: float


def posterior(seen: Observed, rates: Rates) -> Posterior:
    """Return the posterior of the first wrong step and of V at every prefix."""
    passes = _passes(seen, rates)
    wrong = np.zeros(len(passes.chain))
    for before in (RIGHT, EARLY):
        erring = (passes.forward[:-1, None, before] @ passes.chain[:, before, ERRED])[:, 0]
        wrong += (erring * passes.ahead[:, ERRED]).sum(axis=1)
    end = passes.states[-1]
    first = np.append(wrong, end[RIGHT].sum() + end[EARLY].sum()) ** rates.temper
    return Posterior(tuple((first / first.sum()).tolist()), passes.states, passes.log_evidence)


def expected(seen: Observed, rates: Rates) -> Expected:
    """Return a solution's expected counts under its posterior (the E step of Baum-Welch)."""
    passes = _passes(seen, rates)
    joint = passes.forward[:-1, :, None] * passes.chain * passes.ahead[:, None, :]
    chances, exposure = _chances(seen, rates), _exposure(seen)
    more = chances.again * chances.harmless * chances.first_states
    share = more / ((1 - chances.again) * chances.right_states + more)
    still, again = _steps(joint, REPAIRED, REPAIRED), _steps(joint, REPAIRED, LOST)
    harmless, harmful = _steps(joint, RIGHT, REPAIRED), _steps(joint, RIGHT, LOST)
    fallen, written = _steps(joint, RIGHT, EARLY), _steps(joint, EARLY, LOST)
    repairs = _steps(joint, LOST, REPAIRED)
    right = _steps(joint, RIGHT, RIGHT) + fallen + _steps(joint, EARLY, EARLY) + (1 - share) * still + repairs
    wrong = harmless + harmful + written + share * still + again
    # A drop with chance 1 - exp(-x) stands for x / (1 - exp(-x)) events of a Poisson process: exact EM for the hazard.
    events = rates.hazard * exposure
    whole, states = joint.sum(axis=0), passes.states
    return Expected(
        moved=whole[RIGHT, RIGHT] + whole[RIGHT, REPAIRED] + whole[REPAIRED, REPAIRED],
        dropped=whole[RIGHT, LOST] + whole[REPAIRED, LOST] + whole[RIGHT, EARLY],
        repairs=float(repairs.sum()),
        lost=float(states[:-1, LOST].sum()) / len(exposure),
        events=float(
            (events / np.maximum(chances.wrong, 1e-12)) @ (harmless + harmful + fallen)
            + (AGAIN * events / np.maximum(chances.again, 1e-12)) @ (share * still + again)
        ),
        exposure=float(exposure @ (states[:-1, RIGHT] + AGAIN * states[:-1, REPAIRED]).sum(axis=1)),
        stated=_stated(seen, (right, wrong, _steps(joint, LOST, LOST))),
    )


def _steps(joint: Array, before: slice, after: slice) -> Array:
    """Return ``[t]``: the chance that step t + 1 goes from one regime to another."""
    found: Array = joint[:, before, after].sum(axis=(1, 2))
    return found


def _stated(seen: Observed, places: Sequence[Array]) -> Array:
    counts = np.zeros((3, KINDS))
    if seen.stated is not None:
        for count, place in zip(counts, places, strict=True):
            np.add.at(count, seen.stated, place)
    return counts


def information(belief: Posterior) -> Array:
    """Return, for each prefix of 0 to T steps, the mutual information in nats of one more completion of it and whether
    an error is in it."""
    right, erred = chances(belief)
    share = np.minimum(1.0, np.append(0.0, np.cumsum(belief.first_error[:-1])))
    whole = (1 - share) * right + share * erred
    told = _entropy(whole) - (1 - share) * _entropy(right) - share * _entropy(erred)
    gained: Array = np.maximum(0.0, told)
    return gained


def chances(belief: Posterior) -> tuple[Array, Array]:
    """Return, for each prefix, the chance that one more completion ends right if (no error, an error) is among it."""
    right, lost, repaired, early = belief.states.reshape(-1, 4, SIZE).swapaxes(0, 1)
    return _mean(right + early), _mean(lost + repaired)


def _exposure(seen: Observed) -> Array:
    """Return the share of ``hazard`` that each step gets: none if the policy had no other step to write."""
    exposure: Array = (1 - seen.written) / len(seen.written)
    return exposure


def _wrong(seen: Observed, rates: Rates) -> Array:
    """Return the chance of each step to be wrong if all before it are right."""
    if seen.hazard is not None:
        return seen.hazard
    chance: Array = -np.expm1(-rates.hazard * _exposure(seen))
    return chance


class _Chances(NamedTuple):
    """``[t]``: chances of step t + 1."""

    wrong: Array
    """To be wrong after none."""
    again: Array
    """To be wrong after one that did no harm."""
    harmless: float
    """Of a wrong step to do no harm."""
    early: Array
    """Of another wrong step to come only after V falls over step t + 1."""
    right_states: Array
    """Of a right step to state what it does."""
    first_states: Array
    after_states: Array


def _chances(seen: Observed, rates: Rates) -> _Chances:
    wrong = _wrong(seen, rates)
    stated = np.ones((3, len(wrong))) if seen.stated is None else rates.statements[:, seen.stated]
    if seen.results is not None:
        stated = stated * np.where(seen.stated == ANSWER, 1.0, rates.of_results(seen.results))
    written = float(seen.written.mean())
    shares = rates.harmless_share(written), rates.early_shares(written, len(wrong))
    return _Chances(wrong, 1 - (1 - wrong) ** AGAIN, *shares, *stated)


def _chain(seen: Observed, rates: Rates) -> Array:
    """Return ``[t, from, to]``: probabilities of each step, and of what was drawn and left before it."""
    laws, (moves, drops) = kernels(), mixtures(rates.all_moves, rates.drops)
    found, mended = _chances(seen, rates), -np.expm1(-rates.repair / len(seen.written))
    harmless = found.harmless
    wrong, again, early, right, first, after = (c[:, None, None] for c in (*found[:2], *found[3:]))
    chain = np.zeros((len(seen.written), 4 * SIZE, 4 * SIZE))
    chain[:, RIGHT, RIGHT] = (1 - wrong) * right * moves
    chain[:, RIGHT, REPAIRED] = wrong * harmless * first * moves
    chain[:, RIGHT, LOST] = wrong * (1 - harmless) * (1 - early) * first * drops
    chain[:, RIGHT, EARLY] = wrong * (1 - harmless) * early * right * drops
    chain[:, REPAIRED, REPAIRED] = ((1 - again) * right + again * harmless * first) * moves
    chain[:, REPAIRED, LOST] = again * (1 - harmless) * first * drops
    chain[:, LOST, LOST] = (1 - mended) * after * laws.lost
    chain[:, LOST, REPAIRED] = mended * right * laws.repair
    chain[:, EARLY, EARLY] = (1 - FOLLOWS) * right * laws.lost
    chain[:, EARLY, LOST] = FOLLOWS * first * laws.lost
    chain *= np.tile(_leaving(seen), (1, 4, 4))
    return chain


def _leaving(seen: Observed) -> Array:
    """Return ``[t, from, to]``: probability of what was drawn and what left at t, given V before and after the step."""
    log_w, log_rest, missed = _leaving_law(seen.written.tobytes())
    left = seen.left_right[:, None, None] * log_w + seen.left_wrong[:, None, None] * log_rest
    drawn = seen.successes[:, None] * np.log(GRID) + seen.failures[:, None] * np.log(1 - GRID)
    probabilities: Array = np.exp(drawn[:, :, None] + left - missed)
    return np.maximum(probabilities, 1e-280)


@lru_cache(maxsize=64)
def _leaving_law(written: bytes) -> tuple[Array, Array, Array]:
    """Return ``[t, from, to]``: log w, log(1 - w), and how much V before and after a step contradict each other. A
    search asks again and again about one solution."""
    q = np.frombuffer(written)[:, None, None]
    gap = GRID[None, :, None] - q * GRID[None, None, :]
    w = np.clip(gap / np.maximum(1 - q, 1e-6), 0.005, 0.995)
    missed = np.maximum(0.0, np.maximum(gap - (1 - q), -gap)) / SLACK
    return np.log(w), np.log(1 - w), missed**2


def _passes(seen: Observed, rates: Rates) -> _Passes:
    """Run the sums forward from the question and backward from the solution's own answer."""
    chain = _chain(seen, rates)
    steps = len(chain)
    forward, scales = np.zeros((steps + 1, 4 * SIZE)), np.empty(steps)
    forward[0, RIGHT] = BASE_LAW
    for t in range(steps):
        after = forward[t] @ chain[t]
        scales[t] = after.sum()
        forward[t + 1] = after / scales[t]
    backward = np.full((steps + 1, 4 * SIZE), 1 - MISGRADED if seen.right else MISGRADED)
    backward[steps, LOST] = 1 - backward[steps, LOST]
    for t in range(steps - 1, -1, -1):
        before = chain[t] @ backward[t + 1]
        backward[t] = before / before.max()
    states = forward * backward
    whole = states.sum(axis=1, keepdims=True)
    ahead = backward[1:] / (scales[:, None] * whole[1:])
    log_evidence = float(np.log(scales).sum() + np.log(whole[-1, 0]))
    return _Passes(chain, forward, ahead, states / whole, log_evidence)


def _mean(weights: Array) -> Array:
    whole = weights.sum(axis=1)
    means: Array = np.divide(weights @ GRID, whole, out=np.full(len(whole), 0.5), where=whole > 1e-12)
    return means


def _entropy(p: Array) -> Array:
    """Return the entropy of coins, in nats."""
    p = np.clip(p, 1e-15, 1 - 1e-15)
    entropy: Array = -p * np.log(p) - (1 - p) * np.log(1 - p)
    return entropy
