"""Formulas as trees; what is made of them, and their exact values."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil, comb, factorial, floor
from typing import Any

MAX_FACTORIAL = 1000
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
_WITH_STEPS = frozenset({"abs", "floor", "ceiling"})
"""What agrees with another formula at some points without being equal to it."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operation and its arguments; a number has a value, a variable or a function a name."""

    op: str
    args: tuple["Node", ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)

    def parts(self) -> Iterator["Node"]:
        yield self
        for arg in self.args:
            yield from arg.parts()


@dataclass(frozen=True)
class Formula:
    node: Node
    doubtful: bool = False
    """Whether it holds ``1/2x`` or ``f(x)``, which have two readings."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its variables."""
        return frozenset(part.name for part in self.node.parts() if part.op == "variable")

    @cached_property
    def operations(self) -> frozenset[str]:
        """Its operations, and the names of its functions and constants."""
        return frozenset(part.name or part.op for part in self.node.parts() if part.op != "variable")


def combined(op: str, *formulas: Formula) -> Formula:
    return Formula(Node(op, tuple(formula.node for formula in formulas)), any(formula.doubtful for formula in formulas))


def constant(value: Fraction | int) -> Formula:
    return Formula(number(value))


def with_variables(formula: Formula, new: Mapping[str, Node]) -> Formula:
    """Return a formula with other variables, or a constant, in place of its variables."""

    def walk(node: Node) -> Node:
        if node.op == "variable":
            return new.get(node.name, node)
        return Node(node.op, tuple(map(walk, node.args)), node.name, node.value)

    return Formula(walk(formula.node), formula.doubtful)


def number(value: Fraction | int) -> Node:
    return Node("number", value=Fraction(value))


class Beyond(ArithmeticError):
    """A formula that this way of working it out does not cover."""


@lru_cache(maxsize=1 << 12)
def rational(node: Node) -> Fraction | None:
    """Return the value of a formula of rational numbers; None where it is not one, has none, or is too big."""
    return rational_at(node, {})


def rational_at(node: Node, point: Mapping[str, Fraction]) -> Fraction | None:
    """Return a formula's value where its variables, and such constants as pi, have the values of a point."""
    try:
        return _rational(node, point)
    except (Beyond, ZeroDivisionError):
        return None


def _rational(node: Node, point: Mapping[str, Fraction]) -> Fraction:
    if node.op == "number":
        return node.value
    if node.name in point:
        return point[node.name]
    values = [_rational(arg, {} if node.op in _WITH_STEPS else point) for arg in node.args]
    value: Fraction
    match node.op:
        case op if op in ARITHMETIC:
            value = ARITHMETIC[op](*values)
        case "floor" | "ceiling":
            value = Fraction(floor(values[0]) if node.op == "floor" else ceil(values[0]))
        case "power" if values[1].denominator == 1 and _bits(values[0]) * abs(values[1]) <= MAX_BITS:
            value = values[0] ** int(values[1])
        case "factorial" | "binomial" if all(v.denominator == 1 and 0 <= v <= MAX_FACTORIAL for v in values):
            value = Fraction((factorial if node.op == "factorial" else comb)(*map(int, values)))
        case _:
            raise Beyond(node.op)
    if _bits(value) > MAX_BITS:
        raise Beyond("a big number")
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
