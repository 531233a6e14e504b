"""Working out formulas in high precision, within bounds."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from stepforge.grading.trees import ARITHMETIC, Beyond, Formula, Node, rational

MAX_MAGNITUDE = 1 << 16
"""Largest binary exponent of a number in high precision."""
PRECISIONS = (140, 220)
"""Decimal digits of the two workings-out; a written number has at most 100."""
MAX_COST = 4000
"""Largest number of operations of one comparison in high precision."""

_LOCAL = threading.local()


def contexts() -> list[Any]:
    """Return this thread's contexts of ``PRECISIONS``; mpmath's own is shared and changes its precision."""
    if not hasattr(_LOCAL, "known"):
        from mpmath import MPContext

        _LOCAL.known = [MPContext() for _ in PRECISIONS]
        for context, digits in zip(_LOCAL.known, PRECISIONS, strict=True):
            context.dps = digits
    known: list[Any] = _LOCAL.known
    return known


class Undefined(ArithmeticError):
    """A formula has no real value at a point."""


@dataclass
class Precise:
    """Works formulas out in one context; ``real`` refuses roots and logarithms of negative numbers."""

    context: Any
    real: bool
    log_base: str
    lossy: bool = False
    """Whether a sum lost a term beside a bigger one."""
    cost: int = MAX_COST
    """Operations left."""

    def differ(self, left: Any, right: Any) -> bool:
        return bool(abs(left - right) > self.context.mpf(10) ** (30 - self.context.dps) * max(abs(left), abs(right)))

    def tiny(self, left: Any, right: Any) -> bool:
        return bool(min(abs(left), abs(right)) < self.context.mpf(10) ** -60)

    def value(self, node: Node, point: Mapping[str, Fraction]) -> Any:
        self.cost -= 1
        if self.cost < 0:
            raise Beyond("too many operations")
        result = self._value(node, point)
        size = abs(result)
        if not self.context.isfinite(result) or (size and abs(self.context.mag(size)) > MAX_MAGNITUDE):
            raise Beyond("magnitude")
        return result

    def _value(self, node: Node, point: Mapping[str, Fraction]) -> Any:
        mp = self.context
        if node.op in ("number", "variable"):
            exact = node.value if node.op == "number" else point[node.name]
            return mp.mpf(exact.numerator) / exact.denominator
        if node.op == "constant":
            return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1)}[node.name]
        args = [self.value(arg, point) for arg in node.args]
        match node.op:
            case op if op in ARITHMETIC:
                self.lossy |= op == "sum" and self._loses(args)
                return ARITHMETIC[op](*args)
            case "power":
                return self._power(node, *args)
            case "root":
                return self._root(*args)
            case "floor":
                return mp.floor(args[0])
            case "ceiling":
                return mp.ceil(args[0])
            case "factorial" if mp.im(args[0]) or not 0 <= mp.re(args[0]) <= 1000:
                raise Undefined
            case "factorial":
                return mp.factorial(args[0])
            case "binomial" if not any(mp.im(arg) or abs(arg) > 1000 for arg in args):
                return mp.binomial(*args)
            case "call":
                return self._call(node.name, args[0])
        raise Beyond(node.op)

    def _loses(self, terms: list[Any]) -> bool:
        """Whether a term is lost beside a bigger one."""
        sizes = [abs(term) for term in terms if term]
        return bool(sizes) and bool(min(sizes) < max(sizes) * self.context.mpf(10) ** (60 - PRECISIONS[0]))

    def _power(self, node: Node, base: Any, exponent: Any) -> Any:
        mp = self.context
        if abs(exponent) > MAX_MAGNITUDE * 4:
            raise Beyond("exponent")
        if not base:
            if mp.re(exponent) < 0:
                raise ZeroDivisionError
            return mp.mpf(1) if not exponent else mp.mpf(0)
        exact = rational(node.args[1])
        if exact is not None and exact.denominator == 1:
            return base ** int(exact)
        if self.real and mp.re(base) < 0:
            if exponent == mp.floor(exponent):
                return base ** int(exponent)
            raise Undefined
        if exact is not None and mp.im(base) == 0 and mp.re(base) < 0:
            raise Beyond("root of a negative number")  # its real or its principal value
        return mp.power(base, exponent)

    def _root(self, value: Any, degree: Any) -> Any:
        mp = self.context
        if degree != mp.floor(mp.re(degree)) or not 2 <= degree <= 1000:
            raise Beyond("degree of a root")
        if mp.im(value) == 0 and mp.re(value) < 0:
            if degree % 2:
                return -mp.root(-mp.re(value), int(degree))
            if self.real or degree != 2:
                raise Undefined
        return mp.root(value, int(degree))

    def _call(self, name: str, value: Any) -> Any:
        mp = self.context
        if name in ("ln", "log", "lg"):
            if not value or (self.real and mp.re(value) < 0):
                raise Undefined
            return mp.log(value) / (mp.log(10) if name == "lg" or (name == "log" and self.log_base == "10") else 1)
        if abs(value) > MAX_MAGNITUDE:
            raise Beyond(name)
        names = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}
        result = getattr(mp, names.get(name, name))(value)
        if self.real and mp.im(result):
            raise Undefined
        return result


@lru_cache(maxsize=1 << 12)
def numeric(formula: Formula) -> float | None:
    """Return the value of a real formula without variables, rounded; None where it is none or too big."""
    if formula.names:
        return None
    precise = Precise(contexts()[0], real=True, log_base="e")
    try:
        return float(precise.value(formula.node, {}))
    except (ArithmeticError, TypeError, ValueError, KeyError, RecursionError):
        return None
