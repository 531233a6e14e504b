r"""Reading a formula, in LaTeX or in plain text, as a tree: ``\frac{\pi}{2}r^2``, ``2*sqrt(3)``, ``e^{12}-1``.

Letters are never folded, reordered or taken as units: ``R`` and ``r`` differ, and so do ``AB`` and a word. What this
grammar does not have (sums, integrals, limits, text) is refused, so that no part of a formula is silently skipped.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NoReturn

from stepforge.grading.tokens import FUNCTIONS, Unreadable, tokens_of
from stepforge.grading.trees import Formula, Node, number
from stepforge.grading.vocabulary import words

MAX_DEPTH = 60
"""Deepest nesting read; the gates admit half of it."""


_GREEK = words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma "
    "tau phi varphi chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega ell hbar"
)
_COMMANDS = frozenset({"pi", "infty", "frac", "sqrt", "binom", "lfloor", "lceil", "imath"}) | FUNCTIONS | _GREEK
_CLOSING = {"(": ")", "[": "]", "{": "}", "lfloor": "rfloor", "lceil": "rceil"}
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}


@lru_cache(maxsize=1 << 14)
def read_formula(text: str) -> Formula | None:
    """Return the formula that a cleaned text is; None where it is anything else."""
    try:
        parser = _Parser(tokens_of(text))
        node = parser.sum()
        if parser.peek():
            return None
    except (Unreadable, RecursionError):
        return None
    return Formula(node, frozenset(parser.names), frozenset(parser.operations), parser.doubtful)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens[::-1]
        self.names: set[str] = set()
        self.operations: set[str] = set()
        self.doubtful = False
        self.bars = self.depth = 0

    def peek(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def take(self, expected: str | None = None) -> str:
        if not self.tokens or (expected is not None and self.tokens[-1] != expected):
            self.refuse()
        return self.tokens.pop()

    def refuse(self) -> NoReturn:
        raise Unreadable(self.peek() or "ends too early")

    def make(self, op: str, *args: Node) -> Node:
        self.operations.add(op)
        return Node(op, args)

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse()
        terms = [self.product()]
        while self.peek() in ("+", "-"):
            negative = self.take() == "-"
            term = self.product()
            terms.append(Node("negative", (term,)) if negative else term)
        self.depth -= 1
        return terms[0] if len(terms) == 1 else self.make("sum", *terms)

    def product(self) -> Node:
        value, divided = self.signed(), False
        while self.peek() in ("*", "/") or self._starts_factor(self.peek()):
            if self.peek() in ("*", "/"):
                divided = self.take() == "/"
                value = self.make("quotient" if divided else "product", value, self.signed())
            else:
                self.doubtful |= divided
                value = self._juxtaposed(value)
        return value

    def _juxtaposed(self, value: Node) -> Node:
        if value.op == "number" and value.value.denominator == 1 and self.peek() == "frac":
            other = self.power()
            top, bottom = other.args if other.op == "quotient" else (other, other)
            if top.op == bottom.op == "number" and 0 <= top.value < bottom.value:
                return self.make("sum", value, other)  # a mixed number
            return self.make("product", value, other)
        if self.peek()[:1].isdigit():
            self.refuse()
        return self.make("product", value, self.power())

    def _starts_factor(self, token: str) -> bool:
        if token == "|":
            return self.bars == 0
        named = token in _COMMANDS or (len(token) == 1 and token.isalpha())
        return named or (bool(token) and (token[0].isdigit() or token in "([{" or token[0] == "."))

    def signed(self) -> Node:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take() == "-"
        value = self.power()
        return Node("negative", (value,)) if negative else value

    def power(self) -> Node:
        value = self.atom()
        while self.peek() in ("^", "!"):
            raised = self.take() == "^"
            value = self.make("power", value, self.exponent()) if raised else self.make("factorial", value)
        return value

    def exponent(self) -> Node:
        if self.peek() in ("-", "+"):
            negative = self.take() == "-"
            inner = self.exponent()
            return Node("negative", (inner,)) if negative else inner
        value = self.atom()
        return self.make("power", value, self.exponent()) if self.peek() == "^" and self.take() else value

    def argument(self) -> Node:
        r"""Read what stands after ``\frac`` or ``\sqrt``: a group, or one digit, letter or command."""
        token = self.peek()
        if token.isdigit() and len(token) > 1:
            self.tokens[-1] = token[1:]
            return number(int(token[0]))
        return self.atom()

    def group(self) -> Node:
        closing = _CLOSING[self.take()]
        bars, self.bars = self.bars, 0
        value = self.sum()
        if self.peek() == "choose":
            self.take()
            value = self.make("binomial", value, self.sum())
        self.take(closing)
        self.bars = bars
        return value

    def atom(self) -> Node:
        token = self.peek()
        if token in ("(", "[", "{"):
            return self.group()
        if token in ("lfloor", "lceil"):
            return self.make("floor" if token == "lfloor" else "ceiling", self.group())
        self.take()
        if token == "|":
            self.bars += 1
            value = self.make("abs", self.sum())
            self.take("|")
            self.bars -= 1
            return value
        if token[0].isdigit() or token[0] == ".":
            return number(_decimal(token))
        return self.command(token) if token in _COMMANDS else self.letter(token)

    def command(self, token: str) -> Node:
        if token in ("frac", "binom"):
            return self.make("quotient" if token == "frac" else "binomial", self.argument(), self.argument())
        if token == "sqrt":
            degree = self.group() if self.peek() == "[" else number(2)
            return self.make("root", self.argument(), degree)
        if token in ("pi", "infty", "imath"):
            return self.constant({"imath": "i"}.get(token, token))
        return self.function(token) if token in FUNCTIONS else self.variable(token)

    def constant(self, name: str) -> Node:
        self.operations.add(name)
        return Node("constant", name=name)

    def function(self, name: str) -> Node:
        marks: dict[str, Node] = {}
        while (mark := self.peek()) in ("^", "_"):
            self.take()
            marks[mark] = self.exponent() if mark == "^" else self.atom()
        power, base = marks.get("^"), marks.get("_")
        if power is not None and power.op == "negative":
            if name not in _INVERSE or power.args[0] != number(1):
                self.refuse()
            name, power = _INVERSE[name], None
        value = self.applied(name, self.function_argument(), base)
        return value if power is None else self.make("power", value, power)

    def function_argument(self) -> Node:
        token = self.peek()
        if token in ("(", "[", "{", "|"):
            return self.atom()
        if token in FUNCTIONS:
            return self.power()
        value = self.signed()
        while self._starts_factor(self.peek()) and self.peek() not in FUNCTIONS and self.peek() not in ("(", "["):
            value = self._juxtaposed(value)
        return value

    def applied(self, name: str, argument: Node, base: Node | None) -> Node:
        if name in ("max", "min", "gcd", "lcm") or (base is not None and name != "log"):
            self.refuse()
        if name == "exp":
            return self.make("power", self.constant("e"), argument)
        if name == "abs":
            return self.make("abs", argument)
        if base is not None:
            return self.make("quotient", self.applied("ln", argument, None), self.applied("ln", base, None))
        self.operations.add(name)
        return Node("call", (argument,), name=name)

    def letter(self, token: str) -> Node:
        if len(token) != 1 or not token.isalpha():
            self.refuse()
        if token in ("e", "i") and self.peek() != "_":
            return self.constant(token)
        if token in "fgFG" and self.peek() == "(":
            self.doubtful = True
        return self.variable(token)

    def variable(self, name: str) -> Node:
        if self.peek() == "_":
            self.take()
            name += "_" + self._subscript()
            if name.startswith("C_") and name[2:].isdigit() and self.peek() == "^":  # C_{10}^{3}
                self.take()
                return self.make("binomial", number(int(name[2:])), self.exponent())
        self.names.add(name)
        return Node("variable", name=name)

    def _subscript(self) -> str:
        if self.peek() != "{":
            return self.take()
        written = self.take()
        while self.peek() != "}":
            written += self.take()
        self.take()
        return written[1:]


def _decimal(token: str) -> Fraction:
    digits = re.fullmatch(r"(\d*)\.(\d*)(?:\\[a-z]+\s*\{|\()(\d+)[})]", token, re.ASCII)
    if digits is None:
        return Fraction(token)
    whole, fixed, cycle = digits[1] or "0", digits[2], digits[3]
    return Fraction(f"{whole}.{fixed or 0}") + Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(fixed))
