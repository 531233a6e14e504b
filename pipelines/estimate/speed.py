"""How long an engine takes: a model of one call's time, and of how many calls are under way at a time.

An engine that batches computes one token of every request under way in a step, and a step takes a + b r with r
requests. A call that writes k tokens therefore takes c + k (a + b r). Fitted to the calls of the pilot, this gives
the time of calls that share the engine with more others than the pilot's did. By Little's law, work of W
request-seconds with R requests under way at a time takes W / R.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.estimate.trace import Call

Array = NDArray[np.float64]


class StepTime(NamedTuple):
    """Seconds of a call that writes k tokens while r rollouts are under way: ``call + k (step + row r)``."""

    call: float
    step: float
    row: float

    def request_seconds(self, rollouts: float, tokens: float, running: float) -> float:
        """Return the time that rollouts hold their places, together."""
        return rollouts * self.call + tokens * (self.step + self.row * running)


class Moments(NamedTuple):
    """What a least squares fit needs of the calls of each problem."""

    problems: list[str]
    squares: Array
    """(problems, 3, 3): sums of products of the regressors 1, k and k r."""
    products: Array
    """(problems, 3): sums of regressors times seconds."""

    def fit(self, weights: Array) -> StepTime:
        """Return the fit with each problem counted ``weights`` times; no part of a time is negative."""
        squares, products = np.tensordot(weights, self.squares, 1), weights @ self.products
        best, least = np.zeros(3), 0.0
        for size in (1, 2, 3):
            for chosen in combinations(range(3), size):
                found = np.zeros(3)
                part = squares[np.ix_(chosen, chosen)]
                found[list(chosen)] = np.linalg.lstsq(part, products[list(chosen)], rcond=None)[0]
                loss = float(found @ squares @ found - 2 * found @ products)
                if (found >= 0).all() and loss < least:
                    best, least = found, loss
        return StepTime(*map(float, best))


def moments(calls: Sequence[Call]) -> Moments:
    names = sorted({call.problem for call in calls})
    place = {name: i for i, name in enumerate(names)}
    squares, products = np.zeros((len(names), 3, 3)), np.zeros((len(names), 3))
    for call in calls:
        x = np.array([1.0, call.tokens, call.tokens * call.running])
        squares[place[call.problem]] += np.outer(x, x)
        products[place[call.problem]] += x * call.seconds
    return Moments(names, squares, products)


def parallel(calls: Sequence[Call], problem_seconds: float) -> float:
    """Return the requests under way for each problem under way; ``problem_seconds`` adds up the problems' times."""
    return sum(call.seconds for call in calls) / problem_seconds if problem_seconds else 0.0


def wall_seconds(
    time: StepTime, rollouts: float, tokens: float, *, running: float, engines: int, capacity: int
) -> float:
    """Return how long a phase takes with ``running`` rollouts under way on each engine, on average.

    ``capacity`` is how many an engine computes at a time; more wait.
    """
    if rollouts <= 0 or running <= 0:
        return 0.0
    together = min(running, float(capacity))
    return time.request_seconds(rollouts, tokens, together) / (together * engines)
