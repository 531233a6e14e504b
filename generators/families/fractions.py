"""Sums, differences and products of fractions, one operation a step."""

from fractions import Fraction
from random import Random
from typing import Literal

from generators.draft import Draft, Say
from generators.family import Family
from schemas.exact import Exact

DENOMINATORS = (2, 3, 4, 6, 12)
"""All divide 12, so that no partial sum grows a large denominator."""
FACTORS = (Fraction(2), Fraction(3), Fraction(1, 2))


class FractionChain(Family):
    """``Compute from left to right: 1/2 + 2/3 - 1/4``; from level 3 on a result may be doubled or halved."""

    kind: Literal["fractions"] = "fractions"

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one chain of ``level`` operations; retried until the numbers stay small."""
        terms = [("", _fraction(rng))]
        value = terms[0][1]
        for position in range(level):
            operator = rng.choice("+-*" if level >= 3 and position > 0 else "+-")
            operand = rng.choice(FACTORS) if operator == "*" else _fraction(rng)
            terms.append((operator, operand))
            value = _apply(operator, value, operand)
            if value.denominator > 24 or abs(value) > 8:
                return self.draft(rng, level)
        text = "".join(f" {operator} {operand}" if operator else str(operand) for operator, operand in terms)
        return Draft(
            question=f"Compute from left to right: {text}",
            work=lambda say: _work(terms, say),
            shape=" ".join(f"{operator}{operand.denominator}" for operator, operand in terms),
            answer_kind="rational",
        )


def _fraction(rng: Random) -> Fraction:
    denominator = rng.choice(DENOMINATORS)
    numerator = rng.randint(1, min(2 * denominator - 1, 11))
    return Fraction(numerator, denominator)


def _apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    if operator == "*":
        return left * right
    return left + right if operator == "+" else left - right


def _work(terms: list[tuple[str, Fraction]], say: Say) -> Exact:
    value = terms[0][1]
    for i, (operator, operand) in enumerate(terms[1:], start=1):
        value = say(f"s{i}", f"{value} {operator} {operand}", _apply(operator, value, operand))
    return value
