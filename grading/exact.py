"""Exact arithmetic on untrusted text: rational numbers and polynomials in ``x``, without ``eval``.

A recursive-descent parser reads ``3 * (7 - 2)``, ``84 mod 36``, ``7/6`` and ``3x^2 - 2x + 1``. Every input is
bounded before any arithmetic is done: length, digits, nesting, exponent and degree.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
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
        other = polynomial(other)
        width = max(len(self.coefficients), len(other.coefficients))
        return Polynomial(self._padded(width)[i] + other._padded(width)[i] for i in range(width))

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

    def _padded(self, width: int) -> list[Fraction]:
        return [*self.coefficients, *[Fraction(0)] * (width - len(self.coefficients))]

    def __str__(self) -> str:
        terms = [(power, c) for power, c in reversed(list(enumerate(self.coefficients))) if c]
        if not terms:
            return "0"
        text = "".join(_term(power, c, first=i == 0) for i, (power, c) in enumerate(terms))
        return text.strip()


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
    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ExactError(f"over {MAX_LENGTH} characters")
        self.tokens = _tokens(text)
        self.position = 0
        self.depth = 0

    def peek(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self) -> str:
        token = self.peek()
        if token is None:
            raise ExactError("ends too early")
        self.position += 1
        return token

    def sum(self) -> Any:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Any:
        value = self.signed()
        while (token := self.peek()) is not None and token not in ("+", "-", ")"):
            if token in ("*", "/", "mod"):
                self.take()
                value = _apply(token, value, self.signed())
            else:
                value = value * self.power()  # 2x, 3(x + 1)
        return value

    def signed(self) -> Any:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take() == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> Any:
        value = self.atom()
        if self.peek() != "^":
            return value
        self.take()
        exponent = _constant(self.atom())
        if exponent is None or exponent.denominator != 1 or not 0 <= exponent <= MAX_EXPONENT:
            raise ExactError(f"exponent is not a whole number from 0 to {MAX_EXPONENT}")
        result: Any = 1
        for _ in range(int(exponent)):
            result = result * value
            polynomial(result)  # refuses what is too large
        return result

    def atom(self) -> Any:
        symbol = self.take()
        if symbol == "x":
            return Polynomial([0, 1])
        if symbol == "(":
            self.depth += 1
            if self.depth > MAX_NESTING:
                raise ExactError(f"nested deeper than {MAX_NESTING}")
            value = self.sum()
            if self.take() != ")":
                raise ExactError("bracket not closed")
            self.depth -= 1
            return value
        if not symbol[0].isdigit():
            raise ExactError(f"unexpected {symbol!r}")
        return int(symbol) if symbol.isdigit() else Fraction(symbol)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise ExactError(f"cannot read {stripped[position : position + 10]!r}")
        token = match.group(1) or match.group(2)
        if len(token) > MAX_DIGITS:
            raise ExactError(f"a number of over {MAX_DIGITS} digits")
        tokens.append(token)
        position = match.end()
    return tokens


def _constant(value: Exact) -> int | Fraction | None:
    return value.constant if isinstance(value, Polynomial) else value


def _apply(operator: str, left: Any, right: Any) -> Any:
    if operator == "*":
        return left * right
    divisor = _constant(right)
    if not divisor:
        raise ExactError("division by zero or by a polynomial")
    if operator == "/":
        return left * (1 / Fraction(divisor))
    dividend = _constant(left)
    if dividend is None or dividend.denominator != 1 or divisor.denominator != 1:
        raise ExactError("mod of something that is not a whole number")
    return int(dividend) % int(divisor)


@lru_cache(maxsize=65536)
def evaluate(text: str) -> Polynomial:
    """Return the exact value of an expression.

    Raises:
        ExactError: the text is not such an expression, or is beyond a bound.
    """
    if text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
        return Polynomial([int(text)])
    parser = _Parser(text)
    value = parser.sum()
    if parser.peek() is not None:
        raise ExactError(f"unexpected {parser.peek()!r}")
    return polynomial(value)
