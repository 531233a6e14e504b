"""The expressions of templates: exact arithmetic, comparisons and draws over variables, read by a small grammar.

Nothing is handed to Python's own evaluator. Length, nesting and exponents are bounded.
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

Value: TypeAlias = "Fraction | str | tuple[Value, ...]"
"""A number, a text, or a list. A text that reads as a number counts as one in arithmetic."""
Function = Callable[..., Value]

MAX_LENGTH = 1000
MAX_NESTING = 30
MAX_EXPONENT = 20
MAX_BITS = 512
"""Largest numerator or denominator, in bits."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<text>\"[^\"]*\"|'[^']*')|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>//|\*\*|<=|>=|==|!=|[-+*/%<>(),\[\]]))"
)
_COMPARED: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class TemplateError(ValueError):
    """An expression that cannot be read, or has no value."""


def number(value: Value) -> Fraction:
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(value) if isinstance(value, str) else Fraction("list")
    except (ValueError, ZeroDivisionError):
        raise TemplateError(f"{str(value)[:40]!r} is no number") from None


def evaluated(text: str, names: Mapping[str, Value], functions: Mapping[str, Function]) -> Value:
    """Return the value of an expression.

    Raises:
        TemplateError: it cannot be read, or has no value.
    """
    reader = _Reader(text, names, functions)
    value = reader.choice()
    if reader.peek():
        raise TemplateError(f"unexpected {reader.peek()!r} in {text[:80]!r}")
    return value


class _Reader:
    def __init__(self, text: str, names: Mapping[str, Value], functions: Mapping[str, Function]) -> None:
        if len(text) > MAX_LENGTH:
            raise TemplateError(f"an expression of over {MAX_LENGTH} characters")
        self.names, self.functions = names, functions
        self.tokens, self.place, self.depth = _tokens(text), 0, 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        """Take the next token if it is one of these; return an empty text otherwise."""
        token = self.peek()
        if not token or (wanted and token not in wanted):
            return ""
        self.place += 1
        return token

    def must(self, wanted: str) -> None:
        if not self.take(wanted):
            raise TemplateError(f"expected {wanted!r}, found {self.peek() or 'the end'!r}")

    def choice(self) -> Value:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TemplateError(f"nested deeper than {MAX_NESTING}")
        value = self.either()
        if self.take("if"):
            holds = _true(self.either())
            self.must("else")
            other = self.choice()
            value = value if holds else other
        self.depth -= 1
        return value

    def either(self) -> Value:
        value = self.both()
        while self.take("or"):
            other = self.both()
            value = _truth(_true(value) or _true(other))
        return value

    def both(self) -> Value:
        value = self.denied()
        while self.take("and"):
            other = self.denied()
            value = _truth(_true(value) and _true(other))
        return value

    def denied(self) -> Value:
        return _truth(not _true(self.denied())) if self.take("not") else self.compared()

    def compared(self) -> Value:
        left = self.sum()
        if self.peek() not in (*_COMPARED, "==", "!="):
            return left
        holds = True
        while sign := self.take(*_COMPARED, "==", "!="):
            right = self.sum()
            holds = holds and _compare(sign, left, right)
            left = right
        return _truth(holds)

    def sum(self) -> Value:
        value = self.product()
        while sign := self.take("+", "-"):
            a, b = number(value), number(self.product())
            value = _bounded(a + b if sign == "+" else a - b)
        return value

    def product(self) -> Value:
        value = self.signed()
        while sign := self.take("*", "/", "//", "%"):
            value = _bounded(_multiplied(sign, number(value), number(self.signed())))
        return value

    def signed(self) -> Value:
        negative = False
        while self.take("-"):
            negative = not negative
        value = self.raised()
        return -number(value) if negative else value

    def raised(self) -> Value:
        value = self.atom()
        if self.take("**"):
            exponent = number(self.signed())
            if exponent.denominator != 1 or not 0 <= exponent <= MAX_EXPONENT:
                raise TemplateError(f"exponent {exponent} is not a whole number from 0 to {MAX_EXPONENT}")
            return _bounded(number(value) ** int(exponent))
        return value

    def atom(self) -> Value:
        token = self.take()
        if not token:
            raise TemplateError("an expression ends too early")
        if token[0].isdigit() or token[0] == ".":
            return Fraction(token)
        if token[0] in "\"'":
            return token[1:-1]
        if token[0] == "(":
            items = self.items(")")
            return self.indexed(items if len(items) != 1 else items[0])
        return self.indexed(self.items("]") if token[0] == "[" else self.named(token))

    def indexed(self, value: Value) -> Value:
        while self.take("["):
            place = number(self.choice())
            self.must("]")
            if not isinstance(value, tuple) or place.denominator != 1 or not 0 <= place < len(value):
                raise TemplateError(f"no item {place}")
            value = value[int(place)]
        return value

    def named(self, token: str) -> Value:
        if self.take("("):
            arguments = self.items(")")
            if token not in self.functions:
                raise TemplateError(f"unknown function {token}")
            try:
                return self.functions[token](*arguments)
            except (TypeError, IndexError, ValueError, ZeroDivisionError) as error:
                raise TemplateError(f"{token}: {error}") from None
        if token not in self.names:
            raise TemplateError(f"unknown name {token!r}")
        return self.names[token]

    def items(self, closing: str) -> tuple[Value, ...]:
        items: list[Value] = []
        while not self.take(closing):
            items.append(self.choice())
            if not self.take(","):
                self.must(closing)
                break
        return tuple(items)


@lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[str, ...]:
    tokens: list[str] = []
    place, stripped = 0, text.rstrip()
    while place < len(stripped):
        match = _TOKEN.match(stripped, place)
        if match is None:
            raise TemplateError(f"cannot read {stripped[place : place + 20]!r}")
        tokens.append(match[match.lastgroup or 0])
        place = match.end()
    return tuple(tokens)


def _true(value: Value) -> bool:
    return bool(value)


def _truth(holds: bool) -> Fraction:
    return Fraction(int(holds))


def _compare(sign: str, left: Value, right: Value) -> bool:
    if sign in ("==", "!="):
        return (left == right) == (sign == "==")
    return _COMPARED[sign](number(left), number(right))


def _multiplied(sign: str, a: Fraction, b: Fraction) -> Fraction:
    if sign == "*":
        return a * b
    if not b:
        raise TemplateError("division by zero")
    return a / b if sign == "/" else Fraction(a // b) if sign == "//" else a % b


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise TemplateError(f"a number of over {MAX_BITS} bits")
    return value
