r"""Comparing two answers that have been read. None means that neither side settles it, and Math-Verify may be asked.

* Equal means exactly equal: ``0.3333333`` is not ``1/3``.
* An answer of another shape or arity than the reference's is ``wrong``: ``1,1,1`` is not ``1``.
* A unit that only one side names is ignored; two different ones are ``undetermined``, unless they convert and the
  values show that the quantities differ. ``40%`` answers ``40``, and ``50%`` answers ``0.5``; ``100%`` for ``1`` is
  ``undetermined``.
"""

import re
from dataclasses import replace
from fractions import Fraction

from stepforge.grading.answer_types import Choice, Equation, Items, Nothing, Ratio, Reading, Unread, Value, Words
from stepforge.grading.equality import same_formula
from stepforge.grading.items import one_and_many, same_items
from stepforge.grading.number_words import TENS, UNITS
from stepforge.grading.quantities import formula_of, same_quantity
from stepforge.grading.reading import read_answer
from stepforge.grading.regions import Region, as_region, same_region
from stepforge.grading.trees import Formula, Node, combined, with_variables
from stepforge.grading.vocabulary import is_word, may_say_the_same, words
from stepforge.schemas.rollout import Outcome

_NUMBER_WORDS = words(
    "hundred thousand million billion first second third fourth fifth sixth seventh eighth ninth tenth half halves "
    "thirds quarter quarters fourths dozen score none nothing nobody couple pair single once twice thrice no noon "
    "midnight"
).union(UNITS, TENS)
_NO_NUMBER = re.compile(r"infinit|undefined|exist|dne|bound|diverge", re.IGNORECASE)
_CHINESE_NUMBERS = frozenset("零〇一二三四五六七八九十百千万亿两半")


def compare(gold: Reading, answer: Reading) -> Outcome | None:
    match gold, answer:
        case (Unread(), _) | (_, Unread()):
            return _unread(gold, answer)
        case Equation(), Equation():
            return _equations(gold, answer)
        case Equation(), _:
            return _named(gold, answer)
        case _, Equation():
            return _named(answer, gold)
        case Nothing(), Nothing():
            return "correct"
        case (Region(), _) | (_, Region()):
            return _regions(gold, answer)
        case (Choice(), _) | (_, Choice()):
            return _choices(gold, answer)
        case (Ratio(), _) | (_, Ratio()):
            return _ratios(_time(gold), _time(answer))
        case Value(), Value():
            return same_quantity(gold, answer)
        case Items(), Items():
            outcome = same_items(gold, answer, compare)
            return "undetermined" if outcome == "wrong" and "..." in gold.text + answer.text else outcome
        case Words(), Words():
            return _words(gold, answer)
        case (Words(), _) | (_, Words()) | (Nothing(), _) | (_, Nothing()):
            return _words_and_other(gold, answer)
        case (Items(), _) | (_, Items()) if (options := _options(gold)) and (others := _options(answer)):
            return "correct" if options == others else "wrong"
        case (Items(), _) | (_, Items()):
            return one_and_many(gold, answer, compare)
    return None


def _unread(gold: Reading, answer: Reading) -> Outcome | None:
    """Leave open what words or two signs may say; Math-Verify may read the rest."""
    for side in (gold, answer):
        told = side.text if isinstance(side, Unread) else ""
        if isinstance(side, Words | Choice | Nothing | Ratio) or "\\pm" in told or "..." in told or is_word(told):
            return "undetermined"
    return None


def _regions(gold: Reading, answer: Reading) -> Outcome | None:
    sides = [_region_of(side) for side in (gold, answer)]
    if sides[0] is not None and sides[1] is not None:
        return same_region(sides[0], sides[1])
    other = answer if isinstance(gold, Region) else gold
    if isinstance(other, Items) and other.kind in ("tuple", "interval") and len(other.parts) == 2:
        return None
    in_words = isinstance(other, Words) and (other is gold or " " in other.plain)  # all real numbers except 0
    return "undetermined" if in_words else "wrong"


def _region_of(side: Reading) -> Region | None:
    if isinstance(side, Region):
        return side
    return as_region(side.text) if isinstance(side, Items) and side.kind in ("tuple", "interval") else None


def _choices(gold: Reading, answer: Reading) -> Outcome:
    letters = [_letter(side) for side in (gold, answer)]
    if all(letters):
        if letters[0] != letters[1]:
            return "wrong"
        texts = [read_answer(side.rest) for side in (gold, answer) if isinstance(side, Choice) and side.rest]
        numbers = [text for text in texts if isinstance(text, Value) and text.number is not None]
        return "undetermined" if len(numbers) == 2 and compare(*numbers) == "wrong" else "correct"
    option, other = (gold, answer) if isinstance(gold, Choice) else (answer, gold)
    if not isinstance(option, Choice) or not option.rest:
        return "undetermined"
    outcome = compare(read_answer(option.rest), other) if option is gold else compare(other, read_answer(option.rest))
    return outcome or "undetermined"


def _options(side: Reading) -> frozenset[str] | None:
    """Return the letters of several options, ``ABD`` or ``A, B and D``; None of anything else."""
    letters = [_letter(part) or "" for part in side.parts] if isinstance(side, Items) else [*getattr(side, "text", "")]
    chosen = frozenset(letters)
    return chosen if chosen <= frozenset("ABCDEFGH") and 1 < len(chosen) == len(letters) else None


def _letter(side: Reading) -> str | None:
    if isinstance(side, Choice):
        return side.letter
    if isinstance(side, Words) and len(side.plain) == 1:
        return side.plain.upper()
    if isinstance(side, Words) and (option := side.plain.split())[0].lower() in ("option", "choice", "answer"):
        return option[1].upper() if len(option) == 2 and len(option[1]) == 1 else None
    return side.text.strip().upper() if isinstance(side, Value) and len(side.text.strip()) == 1 else None


def _ratios(gold: Reading, answer: Reading) -> Outcome:
    if isinstance(gold, Ratio) and isinstance(answer, Ratio):
        return _two_ratios(gold, answer)
    one, other = (gold, answer) if isinstance(gold, Ratio) else (answer, gold)
    if isinstance(one, Ratio) and isinstance(other, Value) and len(one.parts) == 2:
        first, second = one.parts
        if other.number is None:
            return "undetermined" if second else "wrong"
        equal = other.number.value == (first / second if second else first)  # without minutes: 12 and noon
        return "undetermined" if equal or (second and other.unit.measure == "time") else "wrong"
    return "undetermined" if isinstance(other, Words | Items) else "wrong"


def _time(side: Reading) -> Reading:
    """Return ``7 PM`` as a time of day."""
    if isinstance(side, Value) and side.number is not None and side.unit.name in ("am", "pm"):
        return Ratio((side.number.value, Fraction(0)), side.unit.name)
    return side


def _two_ratios(gold: Ratio, answer: Ratio) -> Outcome:
    halves = {gold.half, answer.half} - {""}
    if gold.parts == answer.parts:
        return "correct" if len(halves) < 2 else "wrong"
    if len(halves) == 1 and _minutes(gold) == _minutes(answer) is not None:
        return "correct"
    if len(gold.parts) != len(answer.parts) or halves:
        return "wrong"
    pairs = list(zip(gold.parts, answer.parts, strict=True))
    return "undetermined" if all(a * d == b * c for a, b in pairs for c, d in pairs) else "wrong"


def _minutes(time: Ratio) -> Fraction | None:
    """Return the time of day in minutes, of a 24-hour clock where no half is given."""
    if len(time.parts) != 2 or time.parts[0] > 24:
        return None
    hour = time.parts[0] % 12 if time.half else time.parts[0]
    return (hour + (12 if time.half == "pm" else 0)) % 24 * 60 + time.parts[1]


def _equations(gold: Equation, answer: Equation) -> Outcome | None:
    if gold.name is not None and answer.name is not None:
        outcome = compare(gold.right, answer.right)
        same_name = gold.name.replace(" ", "") == answer.name.replace(" ", "") or "" in (gold.name, answer.name)
        if outcome == "wrong" and _other_argument(gold.name, answer.name):
            return "undetermined"
        if same_name or outcome != "correct":
            return outcome if outcome != "wrong" or same_name else _same_equation(gold, answer) or "wrong"
        return "undetermined"
    return _same_equation(gold, answer)


def _same_equation(gold: Equation, answer: Equation) -> Outcome | None:
    """Compare ``2x - y + 1 = 0`` with ``y = 2x + 1``: the differences of their sides are multiples of each other."""
    sides = [_difference(side) for side in (gold, answer)]
    if sides[0] is None or sides[1] is None:
        return None
    if not sides[0].names or sides[0].names != sides[1].names:
        return "wrong" if sides[0].names or sides[1].names else None
    quotient = combined("quotient", sides[0], sides[1])
    moved = with_variables(quotient, {name: Node("variable", name=name + "'") for name in quotient.names})
    if same_formula(quotient, moved) == "correct":  # it does not depend on its variables
        return "correct"
    return "wrong" if all(_degree(side.node) <= 1 for side in sides if side is not None) else None


def _difference(equation: Equation) -> Formula | None:
    right = equation.right
    if equation.left is None or not isinstance(right, Value):
        return None
    other = right.formula or (formula_of(right, right) if right.number is not None else None)
    if other is None:
        return None
    return combined("sum", equation.left, replace(other, node=Node("negative", (other.node,))))


def _degree(node: Node) -> int:
    """Return a bound on the degree of a formula in all its variables; 99 where it is no polynomial."""
    degrees = [_degree(arg) for arg in node.args]
    match node.op:
        case "variable":
            return 1
        case "sum" | "negative" | "number" | "constant":
            return max(degrees, default=0)
        case "product":
            return sum(degrees)
        case "quotient":
            return degrees[0] if degrees[1] == 0 else 99
    return 0 if not any(degrees) else 99


def _other_argument(one: str, other: str) -> bool:
    """Whether two names are of one function with its argument called otherwise: ``f(x)`` and ``f(t)``."""
    heads = [name.replace(" ", "").split("(") for name in (one, other)]
    return heads[0] != heads[1] and heads[0][0] == heads[1][0] and all(len(h) == 2 and len(h[1]) == 2 for h in heads)


def _named(equation: Equation, other: Reading) -> Outcome | None:
    """Compare ``x = 5`` with ``5``."""
    if equation.name is None:
        if isinstance(other, Value) and equation.left is not None and other.formula is None:
            outcome = compare(other, equation.right)  # 42 and a + b = 42
            return "undetermined" if outcome == "correct" else "wrong"
        return None if isinstance(other, Value | Unread) else "wrong"
    return compare(equation.right, other)


def _words(gold: Words, answer: Words) -> Outcome:
    if gold.text == answer.text:
        return "correct"
    left, right = (set(side.plain.casefold().replace("'s", "").split()) for side in (gold, answer))
    begun = not gold.text.isascii() and (gold.text.startswith(answer.text) or answer.text.startswith(gold.text))
    same = left <= right or right <= left or begun or may_say_the_same(left, right)  # 是的 says no more than 是
    return "undetermined" if same else "wrong"


def _words_and_other(gold: Reading, answer: Reading) -> Outcome | None:
    """Compare words with a value: words may name a number, and a word may be a product of letters."""
    words, other = (gold, answer) if isinstance(gold, Words | Nothing) else (answer, gold)
    if not isinstance(words, Words):
        zero = isinstance(other, Value) and other.number is not None and other.number.value == 0
        return "undetermined" if zero or isinstance(other, Words) else "wrong"
    named = set(words.plain.casefold().replace("-", " ").split())
    if named & _NUMBER_WORDS or _CHINESE_NUMBERS & set(words.plain) or any(c.isdigit() for c in words.plain):
        return "undetermined"
    if not isinstance(other, Value) or other.formula is None:
        return "wrong"
    no_number = other.number is None and not other.formula.names and _NO_NUMBER.search(words.plain)  # \infty, 1/0
    return "undetermined" if no_number or not words.written else "wrong"
