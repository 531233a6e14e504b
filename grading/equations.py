"""Comparing two equations: ``2x - y + 1 = 0`` and ``y = 2x + 1`` are one line."""

from stepforge.grading.answer_types import Equation, Value
from stepforge.grading.equality import same_formula
from stepforge.grading.formula import Formula, Node
from stepforge.grading.quantities import formula_of
from stepforge.schemas.rollout import Outcome


def same_equation(gold: Equation, answer: Equation) -> Outcome | None:
    """Compare ``2x - y + 1 = 0`` with ``y = 2x + 1``: the differences of their sides are multiples of each other."""
    sides = [_difference(side) for side in (gold, answer)]
    if sides[0] is None or sides[1] is None:
        return None
    if not sides[0].names or sides[0].names != sides[1].names:
        return "wrong" if sides[0].names or sides[1].names else None
    quotient = Formula(
        Node("quotient", (sides[0].node, sides[1].node)),
        sides[0].names,
        sides[0].operations | sides[1].operations | {"quotient"},
        sides[0].doubtful or sides[1].doubtful,
    )
    moved = _moved(quotient)
    if moved is not None and same_formula(quotient, moved) == "correct":
        return "correct"
    return "wrong" if all(_degree(side.node) <= 1 for side in sides if side is not None) else None


def _moved(formula: Formula) -> Formula | None:
    """Return the formula in other variables: it is constant if it equals this."""

    def walk(node: Node) -> Node:
        if node.op == "variable":
            return Node("variable", name=node.name + "'")
        return Node(node.op, tuple(map(walk, node.args)), node.name, node.value)

    names = frozenset(name + "'" for name in formula.names)
    return Formula(walk(formula.node), names, formula.operations, formula.doubtful)


def _difference(equation: Equation) -> Formula | None:
    right = equation.right
    if equation.left is None or not isinstance(right, Value):
        return None
    other = right.formula or (formula_of(right, right) if right.number is not None else None)
    if other is None:
        return None
    return Formula(
        Node("sum", (equation.left.node, Node("negative", (other.node,)))),
        equation.left.names | other.names,
        equation.left.operations | other.operations | {"sum"},
        equation.left.doubtful or other.doubtful,
    )


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
