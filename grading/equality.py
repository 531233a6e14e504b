"""Deciding whether two formulas are equal, without simplifying them.

A formula of sums, products, quotients and whole powers is worked out modulo a 127-bit prime at random points, with
pi and e as further unknowns and i as a root of -1 (Schwartz and Zippel: two different such formulas agree at a point
with a probability below 1e-34). All others are worked out in high precision at several points, twice, so that a
difference is told from rounding. Both are bounded: a formula beyond a bound is left open.
"""

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import permutations
from typing import Any

from stepforge.grading.precision import Precise, Undefined, contexts
from stepforge.grading.trees import PRIME, Beyond, Formula, Node, modular, with_variables
from stepforge.schemas.rollout import Outcome

_RATIONAL = frozenset({"sum", "product", "quotient", "power", "factorial", "binomial", "i", "e", "pi"})

_FREE = frozenset("ABCcDKklmn")
"""Constants of integration and whole numbers, which each writer names as he likes."""
_I = Node("constant", name="i")
_INFINITY = Node("constant", name="infty")
_INFINITE = {_INFINITY: 1, Node("negative", (_INFINITY,)): -1}


def same_formula(left: Formula, right: Formula) -> Outcome:
    """Return whether two formulas are equal wherever both are defined; ``undetermined`` where that stays open."""
    if left.node == right.node:
        return "correct"
    outcome = _same_node(left, right)
    if outcome == "wrong" and any(_same_node(*sides) == "correct" for sides in _respelled(left, right)):
        return "undetermined"
    return "undetermined" if outcome == "wrong" and (left.doubtful or right.doubtful) else outcome


def _same_node(left: Formula, right: Formula) -> Outcome:
    both = left.operations | right.operations
    if "infty" in both:
        signs = [_INFINITE.get(side.node) for side in (left, right)]
        return "undetermined" if None in signs else "wrong"  # equal ones are the same node
    if both <= _RATIONAL:
        outcome = _same_modulo(left.node, right.node, left.names | right.names)
        if outcome != "undetermined":
            return outcome
    if "log" not in both:
        return _same_in_precision(left, right, "e")
    outcomes = {_same_in_precision(left, right, base) for base in ("e", "10")}
    return outcomes.pop() if len(outcomes) == 1 else "undetermined"


def _respelled(left: Formula, right: Formula) -> Iterator[tuple[Formula, Formula]]:
    """Yield both with ``c`` read for ``C``, one free letter for another, or ``j`` for ``i``, with no two variables made
    one."""
    folded = [{name: name.lower() for name in side.names} for side in (left, right)]
    if left.names != right.names and all(len(set(f.values())) == len(f) for f in folded):
        one, other = map(_renamed, (left, right), folded)
        if one.names == other.names:
            yield one, other
    mine, theirs = left.names - right.names, right.names - left.names
    lone = "variable" in (left.node.op, right.node.op)  # an option
    if not lone and 0 < len(mine) == len(theirs) < 3 and all(n.partition("_")[0] in _FREE for n in mine | theirs):
        for order in permutations(theirs):
            yield _renamed(left, dict(zip(mine, order, strict=True))), right
    imaginary = [side for side in (left, right) if "i" in side.operations]
    engineers = [side for side in (left, right) if "j" in side.names and "i" not in side.operations]
    if len(imaginary) == len(engineers) == 1:
        yield imaginary[0], with_variables(engineers[0], {"j": _I})


def _renamed(side: Formula, names: Mapping[str, str]) -> Formula:
    return with_variables(side, {old: Node("variable", name=new) for old, new in names.items()})


def _same_modulo(left: Node, right: Node, names: frozenset[str]) -> Outcome:
    """Compare at random points modulo a prime."""
    seeded = random.Random(repr((left, right)))  # the same in every process
    agreed = 0
    for _ in range(6):
        point = {name: seeded.randrange(1, PRIME) for name in (*sorted(names), "pi", "e")}
        try:
            values = modular(left, point), modular(right, point)
        except ZeroDivisionError:
            continue
        except Beyond:
            return "undetermined"
        if values[0] != values[1]:
            return "wrong"
        agreed += 1
        if agreed == 2:
            return "correct"
    return "undetermined"


_POSITIVE = (Fraction(1373, 977), Fraction(389, 1021), Fraction(2857, 1009))
_SIGNED = (Fraction(-1123, 947), Fraction(613, 887), Fraction(-271, 859), Fraction(3181, 953))
_WHOLE = (3, 4, 7, 12, 19, 26)


def _same_in_precision(left: Formula, right: Formula, log_base: str) -> Outcome:
    names = sorted(left.names | right.names)
    operations = left.operations | right.operations
    real = bool(names) and "i" not in operations
    low, high = (Precise(context, real=real, log_base=log_base) for context in contexts())
    try:
        if not names:
            return _same_at(low, high, left.node, right.node, {}) or "undetermined"
        outcomes: list[Any] = []
        if not operations & {"factorial", "binomial"}:
            outcomes = [_same_at(low, high, left.node, right.node, p) for p in _points(names)]
        if not {"correct", "wrong"} & set(outcomes):  # defined for whole numbers only, as n! and (-1)^n
            points = [{name: Fraction(_WHOLE[(i + j) % 6]) for j, name in enumerate(names)} for i in range(6)]
            outcomes = [_same_at(low, high, left.node, right.node, p) for p in points]
            return "wrong" if "wrong" in outcomes else "correct" if outcomes.count("correct") == 6 else "undetermined"
    except (Beyond, ArithmeticError, ValueError, NotImplementedError, MemoryError, RecursionError):
        return "undetermined"
    if "wrong" in outcomes[:3]:
        return "wrong"
    agreed = outcomes.count("correct") >= 2 and not {"wrong", "undetermined"} & set(outcomes)
    return "correct" if agreed else "undetermined"


def _points(names: list[str]) -> list[dict[str, Fraction]]:
    positive = [{n: _POSITIVE[i] + Fraction(31 * j, 97) for j, n in enumerate(names)} for i in range(3)]
    signed = [{n: _SIGNED[(i + j) % 4] + Fraction(7 * j, 89) for j, n in enumerate(names)} for i in range(3)]
    return positive + signed


def _same_at(low: Precise, high: Precise, left: Node, right: Node, point: Mapping[str, Fraction]) -> Any:
    """Return the outcome at one point; None where both are undefined, ``undetermined`` where one is."""
    sides = [_value_at(low, side, point) for side in (left, right)]
    if sides[0] is None or sides[1] is None:
        return None if sides[0] is sides[1] else "undetermined"
    differ = low.differ(*sides)
    if differ and not low.tiny(*sides):
        return "wrong"
    precise = [_value_at(high, side, point) for side in (left, right)]
    if differ:
        return _of_tiny(low, high, sides, precise)
    return "undetermined" if high.differ(*precise) or low.lossy or high.lossy else "correct"


def _of_tiny(low: Precise, high: Precise, sides: list[Any], precise: list[Any]) -> Outcome:
    """Tell numbers that are tiny from zeros that rounding left a trace of: the trace shrinks with the precision."""
    zeros = [
        abs(fine) < abs(rough) * low.context.mpf(10) ** -20 or not rough
        for rough, fine in zip(sides, precise, strict=True)
    ]
    if all(zeros):
        return "correct"
    if any(zeros):
        return "wrong"
    return "wrong" if high.differ(*precise) else "undetermined"


def _value_at(precise: Precise, node: Node, point: Mapping[str, Fraction]) -> Any:
    try:
        return precise.value(node, point)
    except (ZeroDivisionError, Undefined):
        return None
