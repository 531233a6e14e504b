"""Formulas as trees, and what is made of them: an operation on formulas, a formula in other variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


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
