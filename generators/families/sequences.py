"""Sequences given by a rule: each term from the one or the two before it."""

from random import Random
from typing import Literal

from stepforge.generators.draft import Draft, Say, Sentence, plus
from stepforge.generators.family import Family
from stepforge.grading.exact import Exact

LARGEST = 100
"""Times the level: no term is above this."""


class Sequence(Family):
    """``A sequence starts with 3. Each next term is 2 times the term before minus 1. Find term 5.``"""

    kind: Literal["sequence"] = "sequence"

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one sequence whose solution has ``level + 1`` steps; retried until the terms stay small."""
        return _sums(rng, level) if rng.random() < 0.4 else _affine(rng, level)


def _affine(rng: Random, level: int) -> Draft:
    start, last = rng.randint(1, 9), level + 2
    factor = rng.choice((2, 2, 3)) if level < 5 else 2
    shift = rng.choice((-1, 1)) * rng.randint(1, 9)
    term, terms = start, []
    for _ in range(level + 1):
        term = factor * term + shift
        terms.append(term)
    if not all(0 < term <= LARGEST * level for term in terms):
        return _affine(rng, level)
    moved = f"{'minus' if shift < 0 else 'plus'} {abs(shift)}"
    slots = {"first": str(start), "factor": str(factor), "shift": moved, "k": str(last)}
    return Draft(
        question=(Sentence("q_affine", slots),),
        work=lambda say: _affine_work(start, factor, shift, last, say),
        shape=f"affine {factor} {shift} {last}",
    )


def _affine_work(start: int, factor: int, shift: int, last: int, say: Say) -> Exact:
    term = start
    for i in range(2, last + 1):
        term = say(f"t{i}", f"{factor} * {plus(term, shift)}", factor * term + shift)
    return term


def _sums(rng: Random, level: int) -> Draft:
    first, second, last = rng.randint(1, 3 + 3 * level), rng.randint(1, 3 + 3 * level), level + 3
    return Draft(
        question=(Sentence("q_series", {"first": str(first), "second": str(second), "k": str(last)}),),
        work=lambda say: _sums_work(first, second, last, say),
        shape=f"sums {first} {last}",
    )


def _sums_work(first: int, second: int, last: int, say: Say) -> Exact:
    for i in range(3, last + 1):
        first, second = second, say(f"t{i}", f"{first} + {second}", first + second)
    return second
