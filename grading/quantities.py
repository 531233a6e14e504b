"""Comparing two quantities: numbers and formulas, with the units that they were written with."""

import re
from fractions import Fraction

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
        dotted = _DOTTED.match(answer.text) and gold.number.value == 1000 * answer.number.value
        outcome = _numbers(gold.number, answer.number)
        return "undetermined" if dotted and outcome == "wrong" else outcome
    left, right = formula_of(gold, answer), formula_of(answer, gold)
    if left is None or right is None:
        return None
    units = gold.unit.name, answer.unit.name
    same = same_formula(left, right)
    if same == "wrong":
        return _apart_from_units(gold, answer)
    return "undetermined" if same == "correct" and all(units) and units[0] != units[1] else same


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
        if one.unit.name == "degree" and one.number and other.formula and other.formula.operations & _IN_RADIANS:
            angle = combined("product", constant(one.number.value / 180), _PI)
            if same_formula(other.formula, angle) == "correct":
                return "undetermined"
        if one.unit.name == "%" and one.formula and not one.formula.names and not other.unit.name:
            return "undetermined"  # 33.\overline{3}\% and 1/3
    return "wrong"


def _numbers(gold: PlainNumber, answer: PlainNumber) -> Outcome:
    units = gold.unit.name, answer.unit.name
    if gold.value == -answer.value and not _LESS.isdisjoint(" ".join(units).split()):
        return "undetermined"
    if "turned" not in units:
        if all(units) and units[0] != units[1]:
            return _other_unit(gold, answer)
        if gold.value == answer.value:
            sides = ((gold, answer), (answer, gold))
            in_two_units = any(a.other is not None and a.unit.measure and not b.unit.name for a, b in sides)
            return "undetermined" if in_two_units else "correct"
        if units == ("%", "") and gold.value == answer.value * 100:
            return "correct"
        if units == ("", "%") and answer.value == gold.value * 100 and 0 < gold.value < 1:
            return "correct"
    return "wrong" if _meant(gold, answer).isdisjoint(_meant(answer, gold)) else "undetermined"


def _meant(number: PlainNumber, other: PlainNumber) -> set[Fraction]:
    """Return all that a number may have been meant as, beside another one."""
    found = {number.value, number.value if number.other is None else number.other}
    if number.unit.name == "turned":
        found.add(-number.value)
    if not other.unit.name and number.unit.name in ("%", "cent"):
        found.add(number.value / 100)
    if not other.unit.name and number.in_base_ten is not None:
        found.add(Fraction(number.in_base_ten))
    return found


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
