"""Number theory: greatest common divisors by Euclid's algorithm, and powers modulo a number."""

from random import Random
from typing import ClassVar, Literal

from stepforge.generators.draft import Draft, Say, Sentence
from stepforge.generators.family import LONG_STEPS, Family
from stepforge.grading.exact import Exact

LARGEST = 120
"""Times the level: no number of a question is above this."""
MAX_EUCLID_STEPS = 12
"""A slip may send Euclid's algorithm elsewhere; it still ends, and this bounds how long it takes."""


class NumberTheory(Family):
    """``Find the greatest common divisor of 84 and 36.`` or ``Find the remainder of 7^5 divided by 11.``"""

    kind: Literal["number_theory"] = "number_theory"
    max_level: ClassVar[int] = max(LONG_STEPS)
    domain = "number theory"

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one problem whose solution has about ``level + 1`` steps; a long one is a power."""
        return _power(rng, level) if level in LONG_STEPS else rng.choice((_gcd, _power))(rng, level)


def _gcd(rng: Random, level: int) -> Draft:
    steps = level + 1
    divisor = rng.randint(1, 3 + level)
    a, b = divisor * rng.randint(2, 4), divisor
    for _ in range(steps - 1):  # run the algorithm backwards
        a, b = a * rng.randint(1, 2) + b, a
    if a > LARGEST * level or (level >= 4 and a < LARGEST):
        return _gcd(rng, level)
    return Draft(
        question=(Sentence("q_gcd", {"a": str(a), "b": str(b)}),),
        work=lambda say: _euclid(a, b, say),
        shape=f"gcd {steps} {a % 12}",
    )


def _euclid(a: int, b: int, say: Say) -> Exact:
    for step in range(1, MAX_EUCLID_STEPS + 1):
        if b <= 0:
            break
        a, b = b, say(f"r{step}", f"{a} mod {b}", a % b)
    return a


def _power(rng: Random, level: int) -> Draft:
    modulus = rng.randint(4 + level, 7 + 2 * level)
    number = rng.randint(2, min(modulus - 1, 5 + level))
    exponent = LONG_STEPS.get(level, level + 1) + 1
    return Draft(
        question=(Sentence("q_power", {"text": f"{number}^{exponent}", "b": str(modulus)}),),
        work=lambda say: _powers(number, exponent, modulus, say),
        shape=f"power {exponent} {modulus}",
    )


def _powers(number: int, exponent: int, modulus: int, say: Say) -> Exact:
    power = number
    for i in range(2, exponent + 1):
        power = say(f"p{i}", f"{power} * {number} mod {modulus}", power * number % modulus)
    return power
