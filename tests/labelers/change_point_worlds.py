"""Known policies and observations that the tests of change_point share."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved

from stepforge.labelers import ChangePoint, OmegaPRM
from stepforge.labelers.change_point.model import AGAIN, FOLLOWS, MISGRADED, Observed
from stepforge.labelers.change_point.rates import BASE_LAW, GRID, SIZE, Rates, kernels
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import SolvedProblem
from stepforge.schemas.seeds import rng_of

LETTERS = "ABCDEFGH"


STEPS = len(LETTERS)


Counts = tuple[int, int]


def observed(
    drawn: Sequence[Counts],
    right: bool = False,
    written: Sequence[float] | None = None,
    left: Sequence[Counts] | None = None,
) -> Observed:
    left = left or [(0, 0)] * len(drawn)
    return Observed(
        right=right,
        successes=np.array([c for c, _ in drawn], float),
        failures=np.array([c for _, c in drawn], float),
        left_right=np.array([c for c, _ in left], float),
        left_wrong=np.array([c for _, c in left], float),
        written=np.array(written or [0.0] * len(drawn), float),
    )


def run(labeler: ChangePoint | OmegaPRM, row: SolvedProblem, policy: KnownPolicy, seed: int = 0) -> LabeledProblem:
    return asyncio.run(labeler(row, policy, EqualGrader(), seed=seed))


def shared_steps(prefix: str) -> int:
    return next((n for n in range(STEPS) if not prefix.startswith(text(n + 1))), STEPS)


def text(count: int) -> str:
    return "".join(f"{letter}\n" for letter in LETTERS[:count])


class World(NamedTuple):
    """How a solution goes wrong, and what the policy makes of it."""

    alive: float = 0.7
    lost: float = 0.02
    jitter: bool = False
    """Whether every prefix that is alive has a V of its own, uniform in 0.3 to 0.95."""
    name: str = "world"


class Case(NamedTuple):
    row: SolvedProblem
    policy: KnownPolicy
    error: int


def case(world: World, seed: int) -> Case:
    """A right solution, and a wrong one with its first and fatal error anywhere."""
    rng = rng_of("change point", world.name, seed)
    error = rng.randrange(STEPS)
    values = [rng.uniform(0.3, 0.95) if world.jitter else world.alive for _ in range(STEPS)]

    def v(prefix: str) -> float:
        count = shared_steps(prefix)
        return world.lost if count > error else values[count]

    good, bad = a_solution("good", "abcdefgh", "correct"), a_solution("bad", LETTERS, "wrong")
    return Case(solved(good, bad, problem=a_problem(f"{world.name}{seed}")), KnownPolicy(v), error)


def leaving(seen: Observed) -> list[Counts]:
    return [(int(c), int(d)) for c, d in zip(seen.left_right, seen.left_wrong, strict=True)]


def drawn(seen: Observed) -> list[Counts]:
    return [(int(c), int(d)) for c, d in zip(seen.successes, seen.failures, strict=True)]


class Simulated(NamedTuple):
    error: int
    values: tuple[float, ...]
    seen: Observed


def simulated(rng: np.random.Generator, rates: Rates, steps: int, root: int, each: int) -> Simulated:
    """Draw a path and its outcomes: ``root`` completions of the question and ``each`` of every prefix."""
    laws = kernels()
    move = np.tensordot(np.array(rates.all_moves), laws.moves, 1)
    drop = np.tensordot(np.array(rates.drops), laws.drops, 1)
    wrong, mended = 1 - np.exp(-rates.hazard / steps), 1 - np.exp(-rates.repair / steps)
    place, regime, error, values = rng.choice(SIZE, p=BASE_LAW), "right", steps, []
    for t in range(steps):
        values.append(float(GRID[place]))
        before, law = regime, laws.lost
        if regime == "lost" and rng.random() < mended:
            regime, law = "repaired", laws.repair
        elif regime == "early" and rng.random() < FOLLOWS:
            regime = "lost"
        elif regime in ("right", "repaired"):
            law = move
            if rng.random() < (wrong if regime == "right" else 1 - (1 - wrong) ** AGAIN):
                harmful = rng.random() >= rates.harmless_share(0.0)
                early = harmful and before == "right" and rng.random() < rates.early_shares(0.0, steps)[t]
                regime = "early" if early else "lost" if harmful else "repaired"
                law = drop if harmful else move
        if regime in ("lost", "repaired"):
            error = min(error, t)
        place = rng.choice(SIZE, p=law[place])
    right = bool(rng.random() < (MISGRADED if regime == "lost" else 1 - MISGRADED))
    trials = [root] + [each] * (steps - 1)
    successes = [int(rng.binomial(n, v)) for n, v in zip(trials, values, strict=True)]
    return Simulated(
        error, tuple(values), observed([(c, n - c) for c, n in zip(successes, trials, strict=True)], right)
    )


@lru_cache
def many() -> tuple[Simulated, ...]:
    rng = np.random.default_rng(7)
    return tuple(simulated(rng, Rates(hazard=1.5), steps=6, root=6, each=3) for _ in range(500))
