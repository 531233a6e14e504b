"""Exact arithmetic on untrusted text: rational numbers and polynomials in ``x``, without ``eval``.

A parser by precedence reads ``3 * (7 - 2)``, ``84 mod 36``, ``7/6`` and ``3x^2 - 2x + 1``. Every input is
bounded before any arithmetic is done: length, digits, nesting, exponent and degree.
"""

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest
from math import prod
from operator import add, mul, sub
from typing import Any

MAX_LENGTH = 400
"""Longest expression read, in characters."""
MAX_DIGITS = 40
"""Longest run of digits read."""
MAX_NESTING = 20
MAX_EXPONENT = 24
MAX_DEGREE = 24
MAX_BITS = 4096
"""Largest numerator or denominator, in bits: powers of powers grow beyond every other bound."""

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|(mod\b|[-+*/^()x]))", re.ASCII)

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "mod": 2, "^": 4}
"""How tightly each operator binds."""
_SIGNED = 3


class ExactError(ValueError):
    """The text is not an expression that this module reads, or is beyond a bound."""


class Polynomial:
    """A polynomial in ``x`` with rational coefficients, lowest power first; a number is its degree-0 case."""

    __slots__ = ("coefficients",)

    def __init__(self, coefficients: Iterable[Fraction | int]) -> None:
        trimmed = [Fraction(c) for c in coefficients]
        while trimmed and trimmed[-1] == 0:
            trimmed.pop()
        if len(trimmed) > MAX_DEGREE + 1:
            raise ExactError(f"degree over {MAX_DEGREE}")
        if any(max(c.numerator.bit_length(), c.denominator.bit_length()) > MAX_BITS for c in trimmed):
            raise ExactError(f"a number of over {MAX_BITS} bits")
        self.coefficients = tuple(trimmed)

    @property
    def constant(self) -> Fraction | None:
        """The value if this is a number, else None."""
        if len(self.coefficients) > 1:
            return None
        return self.coefficients[0] if self.coefficients else Fraction(0)

    @property
    def derivative(self) -> "Polynomial":
        return Polynomial(power * c for power, c in enumerate(self.coefficients) if power)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.coefficients == other.coefficients

    def __hash__(self) -> int:
        return hash(self.coefficients)

    def __add__(self, other: "Exact") -> "Polynomial":
        pairs = zip_longest(self.coefficients, polynomial(other).coefficients, fillvalue=Fraction(0))
        return Polynomial(a + b for a, b in pairs)

    def __neg__(self) -> "Polynomial":
        return Polynomial(-c for c in self.coefficients)

    def __sub__(self, other: "Exact") -> "Polynomial":
        return self + (-other)

    def __rsub__(self, other: int | Fraction) -> "Polynomial":
        return -self + other

    def __mul__(self, other: "Exact") -> "Polynomial":
        other = polynomial(other)
        product = [Fraction(0)] * max(len(self.coefficients) + len(other.coefficients) - 1, 0)
        for i, a in enumerate(self.coefficients):
            for j, b in enumerate(other.coefficients):
                product[i + j] += a * b
        return Polynomial(product)

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        terms = [(power, c) for power, c in reversed(list(enumerate(self.coefficients))) if c]
        return "".join(_term(power, c, first=i == 0) for i, (power, c) in enumerate(terms)) or "0"


def _term(power: int, coefficient: Fraction, *, first: bool) -> str:
    sign = ("-" if coefficient < 0 else "") if first else (" - " if coefficient < 0 else " + ")
    size = abs(coefficient)
    variable = "" if power == 0 else "x" if power == 1 else f"x^{power}"
    return sign + (variable if size == 1 and power else f"{size}{variable}")


Exact = int | Fraction | Polynomial
"""A value that a step of a procedural solution may state: ``-7``, ``7/6`` or ``3x^2 - 2x + 1``."""


def polynomial(value: Exact) -> Polynomial:
    return value if isinstance(value, Polynomial) else Polynomial([value])


class _Parser:
    """Computes with numbers, which is faster than with polynomials, until there is an ``x``."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ExactError(f"over {MAX_LENGTH} characters")
        unread = _TOKEN.sub("", text.rstrip())
        if unread:
            raise ExactError(f"cannot read {unread[:10]!r}")
        self.tokens: list[str] = [number or sign for number, sign in reversed(_TOKEN.findall(text))]
        if max(map(len, self.tokens), default=0) > MAX_DIGITS:
            raise ExactError(f"a number of over {MAX_DIGITS} digits")
        self.depth = 0

    def peek(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def expression(self, least: int = 1) -> Any:
        """Read operators that bind at least so tightly."""
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.tokens.pop() == "-"
        value = -self.expression(_SIGNED) if negative else self.atom()
        while self.peek() not in ("", ")"):
            operator = self.peek() if self.peek() in _BINDS else "*"  # 2x, 3(x + 1)
            if _BINDS[operator] < least:
                break
            if operator == self.peek():
                self.tokens.pop()
            value = _apply(operator, value, self.expression(_BINDS[operator] + (operator != "^")))
        return value

    def atom(self) -> Exact:
        symbol = self.tokens.pop() if self.tokens else "end"
        if symbol == "x":
            return Polynomial([0, 1])
        if symbol == "(":
            self.depth += 1
            if self.depth > MAX_NESTING:
                raise ExactError(f"nested deeper than {MAX_NESTING}")
            value: Exact = self.expression()
            if not self.tokens:
                raise ExactError("bracket not closed")
            self.tokens.pop()
            self.depth -= 1
            return value
        if not symbol[0].isdigit():
            raise ExactError(f"unexpected {symbol}")
        return int(symbol) if symbol.isdigit() else Fraction(symbol)


_EXACTLY: dict[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul}


def _apply(operator: str, left: Any, right: Any) -> Any:
    if operator in _EXACTLY:
        return _EXACTLY[operator](left, right)
    number = _constant(right)
    if operator == "^":
        if number is None or number.denominator != 1 or not 0 <= number <= MAX_EXPONENT:
            raise ExactError(f"exponent is not a whole number from 0 to {MAX_EXPONENT}")
        power = prod([left] * int(number))
        polynomial(power)  # refuses what is too large
        return power
    if not number:
        raise ExactError("division by zero or by a polynomial")
    if operator == "/":
        return left * (1 / Fraction(number))
    dividend = _constant(left)
    if dividend is None or dividend.denominator != 1 or number.denominator != 1:
        raise ExactError("mod of something that is not a whole number")
    return int(dividend) % int(number)


def _constant(value: Exact) -> int | Fraction | None:
    return value.constant if isinstance(value, Polynomial) else value


@lru_cache(maxsize=65536)
def evaluate(text: str) -> Polynomial:
    """Return the exact value of an expression.

    Raises:
        ExactError: the text is not such an expression, or is beyond a bound.
    """
    if text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
        return Polynomial([int(text)])
    parser = _Parser(text)
    value = parser.expression()
    if parser.tokens:
        raise ExactError(f"unexpected {parser.peek()}")
    return polynomial(value)
