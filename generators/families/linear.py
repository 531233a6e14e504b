"""Linear equations in one unknown, from ``3x + 7 = 22`` to brackets on both sides."""

from fractions import Fraction
from random import Random
from typing import Literal, NamedTuple

from stepforge.generators.draft import Draft, Say, Sentence, plus
from stepforge.generators.family import Family
from stepforge.grading.exact import Exact, Polynomial


class _Side(NamedTuple):
    """``bracket * (x + shift) + constant``, or ``bracket x + constant`` where shift is 0."""

    bracket: int
    shift: int
    constant: int

    def at(self, x: int) -> int:
        return self.bracket * (x + self.shift) + self.constant

    def __str__(self) -> str:
        if not self.bracket or not self.shift:
            return str(Polynomial([self.constant, self.bracket]))
        product = f"{self.bracket}({Polynomial([self.shift, 1])})"
        return plus(product, self.constant) if self.constant else product


class LinearEquation(Family):
    """``Solve for x: 5(x + 2) - 3 = 2x + 22``: brackets, then numbers, then the x terms, then x."""

    kind: Literal["linear_equation"] = "linear_equation"
    domain = "algebra"

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one equation with a small whole-number solution; the numbers grow with the level."""
        x = rng.randint(1, 7 + level)
        left = _Side(
            rng.randint(3, 4 + level), _shift(rng, level) if level >= 3 else 0, _shift(rng, level) if level != 3 else 0
        )
        slope = rng.randint(1, left.bracket - 1) if level not in (1, 3) else 0
        right = _Side(slope, _shift(rng, level) if level >= 5 else 0, 0)
        right = right._replace(constant=left.at(x) - right.at(x))
        if level == 6:
            extra = _Side(rng.randint(2, 4), _shift(rng, level), 0)
            right = right._replace(constant=right.constant + extra.at(x))
            return _draft(left, right, extra)
        return _draft(left, right, None)


def _draft(left: _Side, right: _Side, extra: _Side | None) -> Draft:
    text = f"{left}{'' if extra is None else f' + {extra}'} = {right}"
    return Draft(
        question=(Sentence("q_linear", {"text": text}),),
        work=lambda say: _work(left, right, extra, say),
        shape=f"{_shape(left)}{'' if extra is None else '+' + _shape(extra)}={_shape(right)} {_numbers(left, extra)}",
        answer_kind="rational",
    )


def _shape(side: _Side) -> str:
    # One template is one pattern of brackets and coefficients: the numbers inside the brackets vary.
    return f"{side.bracket}{'b' if side.shift else ''}{'c' if side.constant else ''}"


def _numbers(left: _Side, extra: _Side | None) -> str:
    """Whether a number is left to take to the other side: where they cancel, the solution is a step shorter."""
    total = sum(side.bracket * side.shift + side.constant for side in (left, extra) if side is not None)
    return "moved" if total else "cancelled"


def _work(left: _Side, right: _Side, extra: _Side | None, say: Say) -> Exact:
    left_number = _number("L", left, say)
    if extra is not None:
        more = say("M", f"{extra.bracket} * {extra.shift}", extra.bracket * extra.shift)
        left_number = say("N", plus(left_number, more), left_number + more)
    right_number = _number("R", right, say)
    slope = left.bracket
    if extra is not None:
        slope = say("A", f"{slope} + {extra.bracket}", slope + extra.bracket)
    if right.bracket:
        slope = say("C", f"{slope} - {right.bracket}", slope - right.bracket)
    number = right_number
    if left_number:
        number = say("D", plus(right_number, -left_number), right_number - left_number)
    # A slip may make the x terms cancel; there is nothing to divide by then, and any value is as wrong as another.
    return say("x", f"{number} / {slope}", Fraction(number, slope) if slope else Fraction(0))


def _number(name: str, side: _Side, say: Say) -> int:
    """Say what is left of a side without x: nothing to say where there is no bracket."""
    if not side.shift:
        return side.constant
    product = say(f"{name}1", f"{side.bracket} * {side.shift}", side.bracket * side.shift)
    if not side.constant:
        return product
    return say(f"{name}2", plus(product, side.constant), product + side.constant)


def _shift(rng: Random, level: int) -> int:
    return rng.choice([-1, 1, 1]) * rng.randint(1, 3 + level)
