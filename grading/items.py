"""Comparing collections: lists in any order, tuples in theirs, named values by name."""

from collections.abc import Callable
from fractions import Fraction

from stepforge.grading.answer_types import Equation, Items, Reading, Value, Words
from stepforge.grading.regions import as_region
from stepforge.schemas.rollout import Outcome

FEW = 12
"""Most elements that are all compared with each other."""
_WORST_FIRST: tuple[Outcome | None, ...] = ("wrong", None, "undetermined")
Compare = Callable[[Reading, Reading], Outcome | None]
"""How two elements are compared."""


def same_items(gold: Items, answer: Items, compare: Compare) -> Outcome | None:
    pairs = _by_name(gold), _by_name(answer)
    if pairs[0] is not None and pairs[1] is not None:
        return _same_names(pairs[0], pairs[1], compare)
    left, right = (
        list(p.values()) if p is not None else list(s.parts) for p, s in zip(pairs, (gold, answer), strict=True)
    )
    kinds = {gold.kind, answer.kind}
    if kinds == {"matrix", "tuple"} and any(isinstance(part, Items) for part in left + right):  # [[1,2],[3,4]]
        return "undetermined"
    if {gold.bracket, answer.bracket} <= {"\\{", "{"}:  # a set has each element once
        left, right = list(dict.fromkeys(left)), list(dict.fromkeys(right))
        if set(left) == set(right):
            return "correct"
    if len(left) != len(right) or (gold.rows != answer.rows and "matrix" in kinds and len(kinds) == 1):
        return "wrong"
    if any(p is not None for p in pairs) and not (pairs[0] is None and _indexed(pairs[1]) and kinds == {"list"}):
        return "undetermined" if _in_order(left, right, compare) != "wrong" else "wrong"
    if kinds == {"list"}:
        return _in_any_order(left, right, compare)
    if len(kinds) == 1:
        if gold.bracket != answer.bracket:
            return _other_brackets(gold, answer, compare)
        return _in_order(left, right, compare)
    if "interval" in kinds:
        return "wrong"
    ordered = _in_order(left, right, compare) if "matrix" in kinds else _in_any_order(left, right, compare)
    return "wrong" if ordered == "wrong" else "undetermined"


def _indexed(named: dict[str, Reading] | None) -> bool:
    """Whether the names are ``x_1`` and ``x_2``, as of roots in any order."""
    return named is not None and len({name.partition("_")[0] for name in named}) == 1


def _other_brackets(gold: Items, answer: Items, compare: Compare) -> Outcome | None:
    """Compare ``(3,5)`` with ``[3,5]``: an interval has other ends; a vector or a list may be written with either."""
    outcome = _in_order(list(gold.parts), list(answer.parts), compare)
    if outcome == "correct" and len(gold.parts) == 2 and as_region(gold.text) is not None:
        return "wrong"
    return "wrong" if outcome == "wrong" else "undetermined"


def _by_name(items: Items) -> dict[str, Reading] | None:
    """Return the values of ``x = 1, y = 2`` by their names; None where it names none, or one twice."""
    equations = [part for part in items.parts if isinstance(part, Equation) and part.name]
    named = {equation.name or "": equation.right for equation in equations}
    return named if len(named) == len(items.parts) > 0 else None


def _same_names(left: dict[str, Reading], right: dict[str, Reading], compare: Compare) -> Outcome | None:
    if set(left) != set(right):
        return "undetermined" if len(left) == len(right) else "wrong"
    return _all([compare(value, right[name]) for name, value in left.items()])


def _in_order(left: list[Reading], right: list[Reading], compare: Compare) -> Outcome | None:
    return _all([compare(one, other) for one, other in zip(left, right, strict=True)])


def _all(outcomes: list[Outcome | None]) -> Outcome | None:
    return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), "correct")


def _in_any_order(left: list[Reading], right: list[Reading], compare: Compare) -> Outcome | None:
    """Match each element with an equal one; an element that has no match at all settles it."""
    if len(left) > FEW:
        return "correct" if _in_order(left, right, compare) == "correct" else "undetermined"
    open_left, unused = False, list(range(len(right)))
    for one in left:
        outcomes = [compare(one, other) for other in right]  # once each: sets of sets would take for ever
        equal = next((i for i in unused if outcomes[i] == "correct"), None)
        if equal is not None:
            unused.remove(equal)
        elif all(outcome == "wrong" for outcome in outcomes):
            return "wrong"
        elif all(outcomes[i] == "wrong" for i in unused):
            return "wrong" if not open_left else "undetermined"
        else:
            open_left = True
    return "undetermined" if open_left else "correct"


def one_and_many(gold: Reading, answer: Reading, compare: Compare) -> Outcome | None:
    """Compare a single answer with a collection: only a collection of one may be equal."""
    one, many = (answer, gold) if isinstance(gold, Items) else (gold, answer)
    if not isinstance(many, Items):
        return None
    if len(many.parts) == 1 and many.kind == "list":
        return compare(many.parts[0], one) if many is gold else compare(one, many.parts[0])
    if not isinstance(one, Value):
        return None
    outcomes: list[Outcome | None] = ["wrong"]
    if many is answer and len(many.parts) <= FEW:
        outcomes = [compare(one, part) for part in many.parts]
    equal = [outcome == "correct" for outcome in outcomes]
    if all(equal) and many.kind == "list" and len({part.text for part in many.parts if isinstance(part, Value)}) > 1:
        return "correct"  # one value in several spellings
    left_open = "undetermined" in outcomes and "wrong" not in outcomes
    if any(equal) and (left_open or _with_different_units(many) or _other_names(many)):
        return "undetermined"
    vectors = one.formula is not None and "j" in one.formula.names  # i + 2j
    if (many.kind == "matrix" and one.number is None) or (many.kind == "tuple" and vectors):
        return "undetermined"  # a matrix may have a name
    if any(_may_be_more(part) for part in many.parts):
        return "undetermined"
    return "undetermined" if one.number is not None and one.number.value in _as_one(many.text) else "wrong"


def _may_be_more(part: Reading) -> bool:
    """Whether it is words with a number in them, or a part as of ``two and a half``."""
    if isinstance(part, Words):
        return any(map(str.isdigit, part.plain))
    return isinstance(part, Value) and part.number is not None and part.number.other is not None


def _other_names(many: Items) -> bool:
    """Whether it gives several things, as ``x = 2, y = 3``; ``x_1 = 3, x_2 = 5`` are rivals."""
    named = _by_name(many)
    return named is not None and not _indexed(named)


def _with_different_units(many: Items) -> bool:
    """Whether it lists several quantities, as ``24 hours, or 1 day``; ``17 or 18`` are rivals."""
    units = {p.number.unit.name for p in many.parts if isinstance(p, Value) and p.number is not None}
    words = any(isinstance(part, Words) for part in many.parts)
    return many.kind == "list" and (words or (len(units) > 1 and any(units)))


def _as_one(text: str) -> set[Fraction]:
    """Return what digits with commas between may be as one number: ``3,5 metros``, or ``12,34,567`` as in India."""
    whole, *rest = text.strip().partition(" ")[0].split(",")
    if not rest or not all(digits.isascii() and digits.isdigit() for digits in (whole.lstrip("-"), *rest)):
        return set()
    return {Fraction(f"{whole}.{rest[0]}") if len(rest) == 1 else Fraction(int(whole + "".join(rest)))}
