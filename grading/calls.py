"""Calls of a calculator inside a solution: ``cards = <<24 * 37>> = 888``. The policy writes up to ``>>``."""

import re

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.gates import power_growth

OPEN, CLOSE = "<<", ">>"
REFUSED = " = no calls left\n"
LONGEST = 200
"""Longest expression that is computed, in characters."""
MAX_GROWTH = 100
"""Largest exponent that the powers of an expression may come to."""
SMALLEST_FACTOR = 10
"""A product of two numbers from here on is worth a call; any other step is worked out without one."""

_PRODUCT = re.compile(r"\s*(\d+) \* (\d+)\s*")
_CALL = re.compile(r"<<([^<>\n]*)(?:>>)?\Z")
_ANSWERED = re.compile(r"<<([^<>\n]*)>>")


def pending_call(text: str) -> str | None:
    """Return the expression of a call that a text ends with, or None."""
    found = _CALL.search(text)
    return found[1] if found else None


def answer_call(expression: str) -> str:
    """Return the calculator's answer, as the line's continuation."""
    if len(expression) > LONGEST or power_growth(expression) > MAX_GROWTH:
        return " = too long\n"
    try:
        value = evaluate(expression).constant
    except ExactError:
        value = None
    return " = cannot be read\n" if value is None else f" = {value}\n"


def needless(line: str) -> bool:
    return any(not worth_a_call(expression) for expression in _ANSWERED.findall(line))


def worth_a_call(expression: str) -> bool:
    """Return whether an expression is a product of two numbers with two digits each."""
    found = _PRODUCT.fullmatch(expression)
    return found is not None and min(int(found[1]), int(found[2])) >= SMALLEST_FACTOR


def without_marks(line: str) -> str:
    return line.replace(OPEN, "").replace(CLOSE, "")
