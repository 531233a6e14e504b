"""The model behind ``change_point``: where a solution goes wrong, given what completions of its prefixes did.

V(t), the policy's chance to end right from the first t steps, is a hidden Markov chain on a grid, in three regimes:
*right* so far, *lost* since a wrong step, *repaired* since. Over a right step V moves a little or rises; at a wrong
step it drops below half; once lost it stays low until a repair. Some wrong steps do no harm: V moves as over a right
step, and the chain is in the third regime at once. The first wrong step is where it leaves the first. Every rollout
counts once: a completion as a trial of V where it was drawn, another solution of the problem where it leaves this one.
If the policy writes the solution's next step with probability q, then V(t) = q V(t+1) + (1 - q) w, and those who leave
at t end right with probability w. A step that the policy was sure of cannot lose much, V(t) - V(t+1) <= 1 - q, and is
wrong with a chance that falls with 1 - q. In free text q is near 0: then w is V(t), and none of this says anything.

Forward and backward sums cost O(grid^2 T) (Rabiner 1989, Proceedings of the IEEE 77, p. 257).
"""

from typing import NamedTuple

import numpy as np

from stepforge.labelers.change_point.rates import GRID, SIZE, Array, Rates, kernels

RIGHT, LOST, REPAIRED = (slice(i * SIZE, (i + 1) * SIZE) for i in range(3))
"""Places of the regimes in a state vector."""
MISGRADED = 0.02
"""Chance that the reference or the grader is wrong about the solution's own answer."""
SLACK = 0.1
"""How far V(t) = q V(t+1) + (1 - q) w may be missed, about the width of the grid's cells."""


class Observed(NamedTuple):
    """What is known of one solution of T steps; all arrays have T entries."""

    right: bool
    """Whether its own answer is right."""
    successes: Array
    """``[t]``: right completions drawn from its first t steps."""
    failures: Array
    left_right: Array
    """``[t]``: right solutions of the problem that leave it after t steps."""
    left_wrong: Array
    written: Array
    """``[t]``: q, the probability that the policy writes its step t + 1 word for word; 0 where nobody knows."""
    hazard: Array | None = None
    """``[t]``: a reward model's probability that step t + 1 is wrong, all before it being right."""


class Posterior(NamedTuple):
    """What follows."""

    first_error: tuple[float, ...]
    """Probability of each first wrong step; the last is that of none."""
    states: Array
    """``[t, state]`` for 0 to T steps, before tempering."""
    moved: Array
    """``[from, to]``: expected steps that are right, by V before and after."""
    dropped: Array
    """The same of wrong steps."""
    repairs: float
    """Expected number."""
    events: float
    """Expected wrong steps, in units of ``hazard`` times ``exposure``."""
    exposure: float
    log_evidence: float
    """Log-probability of all that was observed."""

    def success(self, t: int) -> tuple[float, float]:
        """Return the chance that one more completion of t steps ends right, if (no error, an error) is among them."""
        right, rest = self.states[t, RIGHT], self.states[t, LOST] + self.states[t, REPAIRED]
        return _mean(right), _mean(rest)

    def wrong_by(self, t: int) -> float:
        """Return the probability that one of the first t steps is wrong."""
        return min(1.0, sum(self.first_error[:t]))


class _Chain(NamedTuple):
    """``[t, from, to]``: probabilities of each kind of step and of what left before it."""

    move: Array
    slip: Array
    """Over a wrong step that does no harm V moves as over a right one."""
    drop: Array
    stay: Array
    """From lost to lost."""
    repair: Array


def posterior(seen: Observed, rates: Rates) -> Posterior:
    """Return the posterior of the first wrong step and of V at every prefix."""
    chain = _chain(seen, rates)
    forward, scales = _forward(chain, rates)
    backward = _backward(chain, seen.right)
    states = forward * backward
    whole = states.sum(axis=1, keepdims=True)
    ahead = backward[1:] / (scales[:, None] * whole[1:])  # so that a step's joint probabilities sum to 1
    right, lost, repaired = forward[:-1, RIGHT], forward[:-1, LOST], forward[:-1, REPAIRED]
    falling = _joint(right, chain.drop, ahead[:, LOST])
    again = _joint(repaired, chain.drop, ahead[:, LOST])
    slipped = _joint(right, chain.slip, ahead[:, REPAIRED])
    slipped_again = _joint(repaired, chain.slip, ahead[:, REPAIRED])
    moved = _joint(right, chain.move, ahead[:, RIGHT]) + _joint(repaired, chain.move, ahead[:, REPAIRED])
    repairs = _joint(lost, chain.repair, ahead[:, REPAIRED])
    states /= whole
    wrong = (falling + slipped).sum(axis=(1, 2))
    first = np.append(wrong, states[-1, RIGHT].sum()) ** rates.temper
    exposure = _exposure(seen)
    # A drop with chance 1 - exp(-x) stands for x / (1 - exp(-x)) events of a Poisson process: exact EM for the hazard.
    events = rates.hazard * exposure / np.maximum(-np.expm1(-rates.hazard * exposure), 1e-12)
    return Posterior(
        first_error=tuple((first / first.sum()).tolist()),
        states=states,
        moved=(moved + slipped + slipped_again).sum(axis=0),
        dropped=(falling + again).sum(axis=0),
        repairs=float(repairs.sum()),
        events=float(events @ (wrong + (again + slipped_again).sum(axis=(1, 2)))),
        exposure=float(exposure @ (states[:-1, RIGHT] + states[:-1, REPAIRED]).sum(axis=1)),
        log_evidence=float(np.log(scales).sum() + np.log(whole[-1, 0])),
    )


def information(belief: Posterior, t: int) -> float:
    """Return the mutual information, in nats, of one more completion of ``t`` steps and whether an error is in them."""
    right, wrong = belief.success(t)
    share = belief.wrong_by(t)
    whole = (1 - share) * right + share * wrong
    return max(0.0, _entropy(whole) - (1 - share) * _entropy(right) - share * _entropy(wrong))


def _exposure(seen: Observed) -> Array:
    """Return the share of ``hazard`` that each step gets: none if the policy had no other step to write."""
    exposure: Array = (1 - seen.written) / len(seen.written)
    return exposure


def _chain(seen: Observed, rates: Rates) -> _Chain:
    laws, left = kernels(), _leaving(seen)
    chance = -np.expm1(-rates.hazard * _exposure(seen)) if seen.hazard is None else seen.hazard
    wrong = chance[:, None, None]
    mended = -np.expm1(-rates.repair / len(seen.written))
    harmless = rates.harmless_share(float(seen.written.mean()))
    moving = np.tensordot(np.array(rates.moves), laws.moves, 1) * left
    return _Chain(
        move=(1 - wrong) * moving,
        slip=wrong * harmless * moving,
        drop=wrong * (1 - harmless) * np.tensordot(np.array(rates.drops), laws.drops, 1) * left,
        stay=(1 - mended) * laws.lost * left,
        repair=mended * laws.repair * left,
    )


def _leaving(seen: Observed) -> Array:
    """Return ``[t, from, to]``: probability of what was drawn and what left at t, given V before and after the step."""
    q = seen.written[:, None, None]
    gap = GRID[None, :, None] - q * GRID[None, None, :]
    w = np.clip(gap / np.maximum(1 - q, 1e-6), 0.005, 0.995)
    missed = np.maximum(0.0, np.maximum(gap - (1 - q), -gap)) / SLACK
    left = seen.left_right[:, None, None] * np.log(w) + seen.left_wrong[:, None, None] * np.log(1 - w)
    drawn = seen.successes[:, None] * np.log(GRID) + seen.failures[:, None] * np.log(1 - GRID)
    probabilities: Array = np.exp(drawn[:, :, None] + left - missed**2)
    return np.maximum(probabilities, 1e-280)


def _joint(before: Array, step: Array, after: Array) -> Array:
    """Return ``[t, from, to]``: expected steps of one kind."""
    return before[:, :, None] * step * after[:, None, :]


def _forward(chain: _Chain, rates: Rates) -> tuple[Array, Array]:
    """Return ``[t, state]``, each row scaled to sum to 1, and what each step was scaled by."""
    steps = len(chain.move)
    forward, scales = np.zeros((steps + 1, 3 * SIZE)), np.empty(steps)
    forward[0, RIGHT] = rates.base_law
    for t in range(steps):
        right, lost, repaired = forward[t, RIGHT], forward[t, LOST], forward[t, REPAIRED]
        after = forward[t + 1]
        after[RIGHT] = right @ chain.move[t]
        after[LOST] = (right + repaired) @ chain.drop[t] + lost @ chain.stay[t]
        after[REPAIRED] = repaired @ chain.move[t] + (right + repaired) @ chain.slip[t] + lost @ chain.repair[t]
        scales[t] = after.sum()
        after /= scales[t]
    return forward, scales


def _backward(chain: _Chain, ends_right: bool) -> Array:
    """Return ``[t, state]``: probability of all that comes after, each row but the last up to a factor."""
    steps = len(chain.move)
    backward = np.full((steps + 1, 3 * SIZE), 1 - MISGRADED if ends_right else MISGRADED)
    backward[steps, LOST] = 1 - backward[steps, LOST]
    for t in range(steps - 1, -1, -1):
        right, lost, repaired = backward[t + 1, RIGHT], backward[t + 1, LOST], backward[t + 1, REPAIRED]
        before = backward[t]
        fall = chain.drop[t] @ lost + chain.slip[t] @ repaired
        before[RIGHT] = chain.move[t] @ right + fall
        before[LOST] = chain.stay[t] @ lost + chain.repair[t] @ repaired
        before[REPAIRED] = chain.move[t] @ repaired + fall
        before /= before.max()
    return backward


def _mean(weights: Array) -> float:
    whole = float(weights.sum())
    return float(weights @ GRID) / whole if whole > 1e-12 else 0.5


def _entropy(p: float) -> float:
    """Return the entropy of a coin, in nats."""
    return 0.0 if p <= 0 or p >= 1 else float(-p * np.log(p) - (1 - p) * np.log(1 - p))
