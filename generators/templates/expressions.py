"""The expressions of templates: exact arithmetic, comparisons and draws over variables, in Python's own grammar.

Python reads them into a tree and evaluates nothing: what is not listed here is refused. Length, exponents and numbers
are bounded.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeAlias

Value: TypeAlias = "Fraction | str | tuple[Value, ...]"
"""A number, a text, or a list. A text that reads as a number counts as one in arithmetic."""
Function = Callable[..., Value]

MAX_LENGTH = 1000
MAX_EXPONENT = 20
MAX_BITS = 512
"""Largest numerator or denominator, in bits."""


class TemplateError(ValueError):
    """An expression that cannot be read, or has no value."""


def number(value: Value) -> Fraction:
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(value) if isinstance(value, str) else Fraction("list")
    except (ValueError, ZeroDivisionError):
        raise TemplateError(f"{str(value)[:40]!r} is not a number") from None


def evaluated(text: str, names: Mapping[str, Value], functions: Mapping[str, Function]) -> Value:
    """Return the value of an expression.

    Raises:
        TemplateError: it cannot be read, or has no value.
    """
    try:
        return _Scope(names, functions).value(_tree(text))
    except RecursionError:
        raise TemplateError(f"nested too deep: {text[:80]!r}") from None


@lru_cache(maxsize=4096)
def _tree(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"an expression of over {MAX_LENGTH} characters")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise TemplateError(f"cannot read {text[:80]!r} ({str(error)[:80]})") from None


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or not 0 <= exponent <= MAX_EXPONENT:
        raise TemplateError(f"exponent {exponent} is not a whole number from 0 to {MAX_EXPONENT}")
    return Fraction(base ** int(exponent))


_ARITHMETIC: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Fraction, Fraction], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class _Scope(NamedTuple):
    """The names and functions that an expression may use. Both branches of a choice are drawn, in reading order."""

    names: Mapping[str, Value]
    functions: Mapping[str, Function]

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return number(repr(node.value))
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(map(self.value, items))
            case ast.Subscript(value=items, slice=place):
                return _item(self.value(items), number(self.value(place)))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in self.functions:
                return self._called(name, arguments)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -number(self.value(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Fraction(not self.value(operand))
            case ast.BoolOp(op=sign, values=values):
                held = [bool(self.value(value)) for value in values]
                return Fraction(all(held) if isinstance(sign, ast.And) else any(held))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
                return _worked_out(type(sign), number(self.value(left)), number(self.value(right)))
            case ast.Compare(left=left, ops=signs, comparators=others):
                found = [self.value(one) for one in (left, *others)]
                return Fraction(all(map(_compared, signs, found, found[1:])))
            case ast.IfExp(body=body, test=test, orelse=other):
                chosen, holds, instead = self.value(body), self.value(test), self.value(other)
                return chosen if holds else instead
        raise TemplateError(f"unknown {ast.unparse(node)[:80]!r}")

    def _called(self, name: str, arguments: list[ast.expr]) -> Value:
        values = list(map(self.value, arguments))
        try:
            return self.functions[name](*values)
        except (TypeError, IndexError, ValueError, ZeroDivisionError) as error:
            raise TemplateError(f"{name}: {error}") from None


def _item(items: Value, place: Fraction) -> Value:
    if not isinstance(items, tuple) or place.denominator != 1 or not 0 <= place < len(items):
        raise TemplateError(f"no item {place}")
    return items[int(place)]


def _worked_out(sign: type[ast.operator], left: Fraction, right: Fraction) -> Fraction:
    try:
        value = Fraction(_ARITHMETIC[sign](left, right))
    except ZeroDivisionError:
        raise TemplateError("division by zero") from None
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise TemplateError(f"a number of over {MAX_BITS} bits")
    return value


def _compared(sign: ast.cmpop, left: Value, right: Value) -> bool:
    if isinstance(sign, ast.Eq | ast.NotEq):
        return (left == right) == isinstance(sign, ast.Eq)
    if type(sign) not in _COMPARED:
        raise TemplateError(f"unknown comparison {type(sign).__name__}")
    return _COMPARED[type(sign)](number(left), number(right))
