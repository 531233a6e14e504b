"""Comparing two equations: ``2x - y + 1 = 0`` and ``y = 2x + 1`` are one line."""

from dataclasses import replace

from stepforge.grading.answer_types import Equation, Value
from stepforge.grading.equality import same_formula
from stepforge.grading.formula import Formula, Node, combined, with_variables
from stepforge.grading.quantities import formula_of
from stepforge.schemas.rollout import Outcome


def same_equation(gold: Equation, answer: Equation) -> Outcome | None:
    """Compare ``2x - y + 1 = 0`` with ``y = 2x + 1``: the differences of their sides are multiples of each other."""
    sides = [_difference(side) for side in (gold, answer)]
    if sides[0] is None or sides[1] is None:
        return None
    if not sides[0].names or sides[0].names != sides[1].names:
        return "wrong" if sides[0].names or sides[1].names else None
    quotient = combined("quotient", sides[0], sides[1])
    moved = with_variables(quotient, {name: Node("variable", name=name + "'") for name in quotient.names})
    if same_formula(quotient, moved) == "correct":  # it does not depend on its variables
        return "correct"
    return "wrong" if all(_degree(side.node) <= 1 for side in sides if side is not None) else None


def _difference(equation: Equation) -> Formula | None:
    right = equation.right
    if equation.left is None or not isinstance(right, Value):
        return None
    other = right.formula or (formula_of(right, right) if right.number is not None else None)
    if other is None:
        return None
    return combined("sum", equation.left, replace(other, node=Node("negative", (other.node,))))


def _degree(node: Node) -> int:
    """Return a bound on the degree of a formula in all its variables; 99 where it is no polynomial."""
    degrees = [_degree(arg) for arg in node.args]
    match node.op:
        case "variable":
            return 1
        case "sum" | "negative" | "number" | "constant":
            return max(degrees, default=0)
        case "product":
            return sum(degrees)
        case "quotient":
            return degrees[0] if degrees[1] == 0 else 99
    return 0 if not any(degrees) else 99
