"""Comparing two quantities: numbers and formulas, with the units that they were written with."""

import re

from stepforge.grading.answer_types import Value
from stepforge.grading.equality import same_formula
from stepforge.grading.plain_numbers import PlainNumber
from stepforge.grading.trees import Formula, Node, combined, constant
from stepforge.grading.units import ratio
from stepforge.schemas.rollout import Outcome

_PI = Formula(Node("constant", name="pi"), frozenset(), frozenset({"pi"}), doubtful=False)
_IN_RADIANS = frozenset(("pi", "arcsin", "arccos", "arctan"))
_DOTTED = re.compile(r"[-$ ]*[1-9]\d{0,2}\.\d{3}(?!\d)", re.ASCII)
"""``1.200``, which is 1200 in much of Europe."""
_LESS = frozenset(("less", "fewer", "lower", "down", "decrease", "decreased", "reduction", "drop", "decline"))
_PREFIXES = frozenset(10**power for power in (3, 6, 9, 12))
"""What prefixes of units make of a number: ``5 k\\Omega`` is 5000 ohms."""


def same_quantity(gold: Value, answer: Value) -> Outcome | None:
    if gold.number is not None and answer.number is not None:
        numbers = _numbers(gold.number, answer.number)
        grouped = _DOTTED.match(answer.text) and gold.number.value == 1000 * answer.number.value
        return "undetermined" if numbers == "wrong" and grouped else numbers
    outcome = _formulas(gold, answer)
    if outcome != "wrong":
        units = gold.unit.name, answer.unit.name
        return "undetermined" if all(units) and units[0] != units[1] and outcome == "correct" else outcome
    return _apart_from_units(gold, answer)


def _formulas(gold: Value, answer: Value) -> Outcome | None:
    left, right = formula_of(gold, answer), formula_of(answer, gold)
    return None if left is None or right is None else same_formula(left, right)


def formula_of(value: Value, other: Value) -> Formula | None:
    """Return a side's formula: ``3h`` is a product beside ``h + 2h``, and a number with a unit beside a number."""
    if value.formula is not None and (value.number is None or (other.formula is not None and other.formula.names)):
        return value.formula
    if value.number is None:
        return None
    return constant(value.number.value)


def _apart_from_units(gold: Value, answer: Value) -> Outcome:
    """Leave open what a percentage, an angle or a unit read as a factor may make equal."""
    for one, other in ((gold, answer), (answer, gold)):
        if one.number is None or other.formula is None:
            continue
        if one.unit.name == "degree" and other.formula.operations & _IN_RADIANS:
            angle = combined("product", constant(one.number.value / 180), _PI)
            if same_formula(other.formula, angle) == "correct":
                return "undetermined"
    for one, other in ((gold, answer), (answer, gold)):
        if one.unit.name == "%" and not other.unit.name and _a_hundredth(one, other):
            return "undetermined"
    return "wrong"


def _a_hundredth(percentage: Value, plain: Value) -> bool:
    """Whether a formula with a percent sign gives the other side."""
    left, right = formula_of(percentage, plain), formula_of(plain, percentage)
    if left is None or right is None:
        return False
    return same_formula(combined("quotient", left, constant(100)), right) == "correct"


def _numbers(gold: PlainNumber, answer: PlainNumber) -> Outcome:
    others = {v for v in (gold.other, answer.other) if v is not None}
    if "turned" in (gold.unit.name, answer.unit.name):
        return "undetermined" if abs(gold.value) == abs(answer.value) else "wrong"
    if gold.value == -answer.value and not _LESS.isdisjoint(f"{gold.unit.name} {answer.unit.name}".split()):
        return "undetermined"
    if gold.unit.name and answer.unit.name and gold.unit.name != answer.unit.name:
        return _other_unit(gold, answer)
    if gold.value == answer.value:
        sides = ((gold, answer), (answer, gold))
        in_two_units = any(a.other is not None and a.unit.measure and not b.unit.name for a, b in sides)
        return "undetermined" if in_two_units else "correct"
    if others & {gold.value, answer.value} or (len(others) == 2 and gold.other == answer.other):
        return "undetermined"
    return _one_unit(gold, answer)


def _one_unit(gold: PlainNumber, answer: PlainNumber) -> Outcome:
    """Judge two numbers of one unit, or of a unit that only one names."""
    if gold.percent and not answer.unit.name:
        return "correct" if answer.value * 100 == gold.value else "wrong"
    if answer.percent and not gold.unit.name and answer.value == gold.value * 100:
        return "correct" if 0 < gold.value < 1 else "undetermined"
    for one, other in ((gold, answer), (answer, gold)):
        if one.in_base_ten is not None and not other.unit.name and one.in_base_ten == other.value:
            return "undetermined"
    if answer.unit.name == "cent" and not gold.unit.name and answer.value == gold.value * 100:
        return "undetermined"
    return "wrong"


def _other_unit(gold: PlainNumber, answer: PlainNumber) -> Outcome:
    """Judge two numbers of different units: say nothing where one of them could be worked out from the other."""
    left, right = gold.in_base_ten, answer.in_base_ten
    if left is not None and right is not None:
        return "correct" if left == right else "wrong"
    if (factor := ratio(gold.unit, answer.unit)) is not None:
        return "undetermined" if gold.value * factor == answer.value else "wrong"
    same = gold.unit.measure == answer.unit.measure is not None or (
        gold.value and answer.value and not _PREFIXES.isdisjoint((gold.value / answer.value, answer.value / gold.value))
    )
    return "undetermined" if gold.value == answer.value or same else "wrong"
