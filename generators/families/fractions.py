"""Sums, differences and multiples of fractions with one denominator, one operation a step."""

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from operator import add, mul, sub
from random import Random
from typing import ClassVar, Literal

from stepforge.generators.draft import Draft, Say, Sentence
from stepforge.generators.family import LONG_STEPS, Family
from stepforge.grading.exact import Exact

DENOMINATORS = (5, 7, 9, 11, 13, 17, 19, 23)
"""A level draws from the first ``level + 2``."""
LARGEST = 4
"""No partial result of an honest solution is above this, and none is below or at zero."""
_APPLY: dict[str, Callable[[Fraction, Fraction], Fraction]] = {"+": add, "-": sub, "*": mul}


class FractionChain(Family):
    """``Compute from left to right: 2/7 + 4/7 - 1/7``; from level 3 on a partial result may be multiplied."""

    kind: Literal["fractions"] = "fractions"
    max_level: ClassVar[int] = max(LONG_STEPS)

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one chain of ``level + 1`` operations; drawn again until the partial results stay small."""
        if level in LONG_STEPS:
            return _draft(_long_terms(rng, level))
        while True:
            terms = _terms(rng, level)
            values = accumulate(terms[1:], lambda value, term: _APPLY[term[0]](value, term[1]), initial=terms[0][1])
            if all(0 < value <= LARGEST for value in values):
                return _draft(terms)


def _terms(rng: Random, level: int) -> list[tuple[str, Fraction]]:
    denominator = rng.choice(DENOMINATORS[: level + 2])
    terms = [("", _fraction(rng, denominator))]
    terms.extend(_term(rng, level, denominator, position) for position in range(level + 1))
    return terms


def _long_terms(rng: Random, level: int) -> list[tuple[str, Fraction]]:
    """Draw each operation again until its result is small."""
    denominator = rng.choice(DENOMINATORS)
    value = _fraction(rng, denominator)
    terms = [("", value)]
    while len(terms) <= LONG_STEPS[level]:
        operator, operand = _term(rng, level, denominator, len(terms))
        if 0 < (result := _APPLY[operator](value, operand)) <= LARGEST:
            value = result
            terms.append((operator, operand))
    return terms


def _term(rng: Random, level: int, denominator: int, position: int) -> tuple[str, Fraction]:
    operator = rng.choice("+-*" if level >= 3 and position else "+-")
    return operator, Fraction(rng.randint(2, 3)) if operator == "*" else _fraction(rng, denominator)


def _fraction(rng: Random, denominator: int) -> Fraction:
    while True:
        fraction = Fraction(rng.randint(1, 2 * denominator - 1), denominator)
        if fraction.denominator == denominator:
            return fraction


def _draft(terms: list[tuple[str, Fraction]]) -> Draft:
    text = "".join(f" {operator} {operand}" if operator else str(operand) for operator, operand in terms)
    return Draft(
        question=(Sentence("q_fractions", {"text": text}),),
        work=lambda say: _work(terms, say),
        shape=" ".join(f"{operator}{operand.denominator}" for operator, operand in terms),
        answer_kind="rational",
    )


def _work(terms: list[tuple[str, Fraction]], say: Say) -> Exact:
    value = terms[0][1]
    for i, (operator, operand) in enumerate(terms[1:], start=1):
        value = say(f"s{i}", f"{value} {operator} {operand}", _APPLY[operator](value, operand))
    return value
