r"""Comparing an answer with the reference: pure functions, bounded, without ``eval``.

``decide`` settles what can be settled exactly, and refuses what is hostile. The rest is for ``symbolic_outcome``,
which calls Math-Verify and must only ever run in a process that can be killed. Rules that hold for both:

* What a gate refuses, cannot be read, or is past a limit is ``undetermined``: infrastructure never makes a negative
  label. So is an answer of None or of blanks; whether a solution without an answer is wrong is for its caller to say.
* Equal means exactly equal: ``0.3333333`` is not ``1/3``.
* An answer of another shape or arity than the reference's is ``wrong``: ``1,1,1`` is not ``1``.
* A unit that only one side names is ignored; two different ones are ``undetermined``. ``40%`` answers ``40``;
  ``100%`` for ``1`` is ``undetermined``.
"""

import re
from fractions import Fraction
from functools import lru_cache

from stepforge.filters.answer_shape import Shape, assigned, shape_of
from stepforge.filters.answer_text import cleaned, without_text_commands
from stepforge.filters.gates import MAX_LENGTH, power_growth, refusal
from stepforge.filters.plain_numbers import PlainNumber, read_number
from stepforge.schemas.exact import ExactError, Polynomial, evaluate
from stepforge.schemas.problem import AnswerKind
from stepforge.schemas.rollout import Outcome

MAX_EXACT_GROWTH = 1000
"""Largest exponent that powers of powers may come to where they are worked out in this process."""
EXACT_KINDS: frozenset[AnswerKind] = frozenset({"integer", "rational", "expression"})
_TWO_NUMBERS = re.compile(r"\d\s+[\d.]")
_BLANKS = re.compile(r"\s+")
_IDLE_BLANKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_WORDS = re.compile(r"[A-Za-z][A-Za-z .,'-]*[A-Za-z]\.?")
_CHOICE = re.compile(r"\(?\s*([A-Za-z])\s*(?:[).:].*|$)", re.DOTALL)
_CHOICE_IN_MATH = re.compile(r"(?:\(([A-Za-z])\)|\\text\{\s*\(?([A-Za-z])\)?\s*\})")
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half third "
    "quarter dozen"
)


def decide(reference: str | None, answer: str | None, kind: AnswerKind) -> Outcome | None:
    """Return the outcome where it can be had exactly or must be refused; None where Math-Verify has to be asked."""
    if reference is None or answer is None or max(len(reference), len(answer)) > MAX_LENGTH:
        return "undetermined"
    return _decide(reference, answer, kind)


@lru_cache(maxsize=1 << 14)  # the rollouts of a problem end at few different answers
def _decide(reference: str, answer: str, kind: AnswerKind) -> Outcome | None:
    if not answer.strip() or not reference.strip():
        return "undetermined"
    if refusal(answer) is not None or refusal(reference) is not None:
        return "undetermined"
    if kind in ("choice", "text"):
        return _outcome(_as_text(reference, kind) == _as_text(answer, kind))
    if kind in EXACT_KINDS:
        left, right = _exact(reference), _exact(answer)
        if left is not None and right is not None:
            return _outcome(left == right)
    return _decide_math(cleaned(reference), cleaned(answer))


def _outcome(equal: bool) -> Outcome:
    return "correct" if equal else "wrong"


def _exact(text: str) -> Polynomial | None:
    stripped = text.strip()
    if _TWO_NUMBERS.search(stripped) or power_growth(stripped) > MAX_EXACT_GROWTH:  # "3 4" is two answers, no product
        return None
    try:
        return evaluate(stripped)
    except ExactError:
        return None


def _as_text(text: str, kind: AnswerKind) -> str:
    plain = _BLANKS.sub(" ", without_text_commands(cleaned(text))).strip().casefold()
    choice = _CHOICE.fullmatch(plain) if kind == "choice" else None
    return choice[1] if choice else plain


def _decide_math(reference: str, answer: str) -> Outcome | None:
    if not answer or not reference:
        return "undetermined"
    if _IDLE_BLANKS.sub("", reference) == _IDLE_BLANKS.sub("", answer):
        return "correct"
    if _CHOICE_IN_MATH.fullmatch(reference) or (len(reference) == 1 and _CHOICE_IN_MATH.fullmatch(answer)):
        named, chosen = (_CHOICE.fullmatch(without_text_commands(side)) for side in (reference, answer))
        return _outcome(named is not None and chosen is not None and named[1].casefold() == chosen[1].casefold())
    gold = _number(reference)
    if gold is not None:
        return _against_number(gold, answer)
    if _is_words(reference):
        return _against_words(without_text_commands(reference), without_text_commands(answer))
    return _against_shape(shape_of(reference), shape_of(answer))


def _number(text: str) -> PlainNumber | None:
    """Read ``5``, ``(5)`` and ``x = 5``."""
    inner = shape_of(assigned(text)[1])
    return read_number(assigned(text)[1]) or (read_number(inner.parts[0]) if inner.kind == "scalar" else None)


def _against_number(gold: PlainNumber, answer: str) -> Outcome | None:
    shape = shape_of(answer)
    number = _number(answer)
    if number is None and shape.kind == "scalar":
        number = read_number(shape.parts[0].rsplit("=", 1)[-1])
    if number is not None:
        return _same_number(gold, number)
    if shape.kind != "scalar":
        return "wrong"
    if _is_words(answer):
        words = set(without_text_commands(answer).casefold().replace("-", " ").split())
        return "undetermined" if not words.isdisjoint(_NUMBER_WORDS.split()) else "wrong"
    return "undetermined" if "%" in answer else None


def _same_number(gold: PlainNumber, number: PlainNumber) -> Outcome:
    if gold.unit and number.unit and gold.unit != number.unit:
        return _other_unit(gold, number)
    if gold.value == number.value:
        return "correct"
    if gold.percent and not number.unit:
        return _outcome(number.value * 100 == gold.value)
    if number.percent and number.value == gold.value * 100:
        return "undetermined"
    return "wrong"


def _other_unit(gold: PlainNumber, number: PlainNumber) -> Outcome:
    """Say nothing where one of two units could be worked out from the other."""
    left, right = gold.in_base_ten, number.in_base_ten
    if left is not None and right is not None:
        return _outcome(left == right)
    return "undetermined" if gold.value == number.value or gold.measure == number.measure is not None else "wrong"


def _is_words(text: str) -> bool:
    plain = without_text_commands(text)
    return _WORDS.fullmatch(plain) is not None and ("\\text" in text or re.search(r"[A-Za-z]{3}", plain) is not None)


def _against_words(gold: str, answer: str) -> Outcome | None:
    left, right = gold.casefold().split(), answer.casefold().split()
    if left == right:
        return "correct"
    if sorted("".join(left)) == sorted("".join(right)):  # "abc" and "cba" may be products
        return None
    return "undetermined" if set(left) <= set(right) else "wrong"


def _against_shape(gold: Shape, answer: Shape) -> Outcome | None:
    """Refuse another arity, compare collections of plain numbers, leave formulas to Math-Verify."""
    related = {gold.kind, answer.kind}
    if related & {"union", "relation"}:
        return "wrong" if gold.kind == "list" or answer.kind in ("list", "matrix") else None
    if (gold.arity, gold.rows) != (answer.arity, answer.rows):
        return "wrong"
    if gold.kind != answer.kind:
        return _other_brackets(gold, answer)
    if gold.kind == "scalar":
        return None
    return _same_elements(gold, answer)


def _other_brackets(gold: Shape, answer: Shape) -> Outcome:
    """Say nothing of ``(1, -2)`` for ``1, -2``, but that 3 is not among ``1, -2`` is certain."""
    left, right = _values(gold), _values(answer)
    if "interval" in (gold.kind, answer.kind):
        return "wrong"
    return "wrong" if left is not None and right is not None and sorted(left) != sorted(right) else "undetermined"


def _same_elements(gold: Shape, answer: Shape) -> Outcome | None:
    left, right = _values(gold), _values(answer)
    if left is None or right is None:
        return None
    if gold.kind == "list":
        return _outcome(sorted(left) == sorted(right))
    return _outcome(left == right) if gold.kind == "matrix" or left != right else None


def _values(shape: Shape) -> list[Fraction] | None:
    numbers = [_number(part) for part in shape.parts]
    return [n.value for n in numbers if n is not None] if all(numbers) else None
