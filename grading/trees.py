"""Formulas as trees; what is made of them, and their exact values: modulo a prime at a point, and rational numbers."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, factorial, floor
from typing import Any

PRIME = 2**127 - 39
"""1 modulo 4, so that -1 has a root."""
MAX_EXPONENT = 10_000
MAX_BITS = 1 << 17
"""Largest exact number, in bits."""

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "negative": operator.neg,
    "sum": lambda *terms: sum(terms[1:], terms[0]),
    "product": operator.mul,
    "quotient": operator.truediv,
    "abs": abs,
}
"""What is worked out alike in every kind of number."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operation and its arguments; a number has a value, a variable or a function a name."""

    op: str
    args: tuple["Node", ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Formula:
    """A tree, its variables, and what is doubtful about its reading."""

    node: Node
    names: frozenset[str]
    operations: frozenset[str]
    doubtful: bool
    """Whether it holds ``1/2x`` or ``f(x)``, which have two readings."""


def combined(op: str, *formulas: Formula) -> Formula:
    return Formula(
        Node(op, tuple(formula.node for formula in formulas)),
        frozenset[str]().union(*(formula.names for formula in formulas)),
        frozenset({op}).union(*(formula.operations for formula in formulas)),
        any(formula.doubtful for formula in formulas),
    )


def constant(value: Fraction | int) -> Formula:
    return Formula(number(value), frozenset(), frozenset(), doubtful=False)


def with_variables(formula: Formula, new: Mapping[str, Node]) -> Formula:
    """Return a formula with other variables, or a constant, in place of its variables."""

    def walk(node: Node) -> Node:
        if node.op == "variable":
            return new.get(node.name, node)
        return Node(node.op, tuple(map(walk, node.args)), node.name, node.value)

    found = [new.get(name, Node("variable", name=name)) for name in formula.names]
    names = frozenset(node.name for node in found if node.op == "variable")
    constants = frozenset(node.name for node in found if node.op == "constant")
    return Formula(walk(formula.node), names, formula.operations | constants, formula.doubtful)


def number(value: Fraction | int) -> Node:
    return Node("number", value=Fraction(value))


class Beyond(ArithmeticError):
    """A formula that this way of working it out does not cover."""


_I = next(r for b in range(2, 99) if (r := pow(b, (PRIME - 1) // 4, PRIME)) * r % PRIME == PRIME - 1)
"""A root of -1."""


def modular(node: Node, point: Mapping[str, int]) -> int:
    """Return a formula's value modulo ``PRIME``.

    Raises:
        Beyond: it holds a root, a function, or an exponent that is no whole number.
        ZeroDivisionError: it divides by zero at this point.
    """
    match node.op:
        case "number":
            return node.value.numerator * _inverse(node.value.denominator) % PRIME
        case "variable":
            return point[node.name]
        case "constant":
            return _I if node.name == "i" else point[node.name]
        case "quotient":
            return modular(node.args[0], point) * _inverse(modular(node.args[1], point)) % PRIME
        case "negative" | "sum" | "product":
            return int(ARITHMETIC[node.op](*(modular(arg, point) for arg in node.args))) % PRIME
        case "power":
            exponent = whole(node.args[1])
            base = modular(node.args[0], point)
            return pow(base if exponent >= 0 else _inverse(base), abs(exponent), PRIME)
        case "factorial" | "binomial":
            if (exact := rational(node)) is not None:
                return exact.numerator % PRIME
    raise Beyond(node.op)


def _inverse(value: int) -> int:
    if value % PRIME == 0:
        raise ZeroDivisionError
    return pow(value, -1, PRIME)


def whole(node: Node) -> int:
    """Return the whole number that a formula without variables is.

    Raises:
        Beyond: it is none, or beyond a bound.
    """
    value = rational(node)
    if value is None or value.denominator != 1 or abs(value) > MAX_EXPONENT:
        raise Beyond("exponent")
    return int(value)


@lru_cache(maxsize=1 << 12)
def rational(node: Node) -> Fraction | None:
    """Return the exact value of a formula of rational numbers; None where it is not one, or too big."""
    try:
        return _rational(node)
    except (Beyond, ZeroDivisionError):
        return None


def _rational(node: Node) -> Fraction:
    if node.op == "number":
        return node.value
    values = [_rational(arg) for arg in node.args]
    value: Fraction
    match node.op:
        case op if op in ARITHMETIC:
            value = ARITHMETIC[op](*values)
        case "floor" | "ceiling":
            value = Fraction(floor(values[0]) if node.op == "floor" else ceil(values[0]))
        case "power":
            value = _raised(*values)
        case "factorial" if values[0].denominator == 1 and 0 <= values[0] <= 1000:
            value = Fraction(factorial(int(values[0])))
        case "binomial" if all(v.denominator == 1 and 0 <= v <= 1000 for v in values):
            value = Fraction(comb(int(values[0]), int(values[1])))
        case _:
            raise Beyond(node.op)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise Beyond("a big number")
    return value


def _raised(base: Fraction, exponent: Fraction) -> Fraction:
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if exponent.denominator != 1 or bits * abs(exponent) > MAX_BITS:
        raise Beyond("exponent")
    return base ** int(exponent)
