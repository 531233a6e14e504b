r"""The verdict on an answer: pure functions, bounded, without ``eval``.

``decide`` settles what can be settled exactly, and refuses what is hostile. The rest is for ``symbolic_outcome``,
which calls Math-Verify and must only ever run in a process that can be killed. What a gate refuses, cannot be read, or
is past a limit is ``undetermined``: infrastructure never makes a negative label. So is an answer of None or of blanks;
whether a solution without an answer is wrong is for its caller to say.
"""

import re
from functools import lru_cache

from stepforge.grading.answer_types import Items, Reading, Value
from stepforge.grading.comparison import compare
from stepforge.grading.dates import same_date
from stepforge.grading.exact import ExactError, Polynomial, evaluate
from stepforge.grading.gates import MAX_LENGTH, may_be_equal, power_growth, refusal
from stepforge.grading.last_resort import OR_RATHER
from stepforge.grading.reading import read_answer
from stepforge.grading.spelling import cleaned, without_text_commands
from stepforge.grading.vocabulary import may_say_the_same, shortened
from stepforge.schemas.problem import AnswerKind
from stepforge.schemas.rollout import Outcome

MAX_EXACT_GROWTH = 1000
"""Largest exponent that powers of powers may come to where they are worked out in this process."""
EXACT_KINDS: frozenset[AnswerKind] = frozenset({"integer", "rational", "expression"})
_TWO_NUMBERS = re.compile(r"\d\s+[\d.]")
_BLANKS = re.compile(r"\s+")
_IDLE_BLANKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_CHOICE = re.compile(r"\(?\s*([A-Za-z])\s*(?:[).:].*|$)", re.DOTALL)
_RANGE = re.compile(r"(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s+(?!sqrt)[A-Za-z]{3,}.*", re.ASCII)
"""``5-6 days``, which is not -1."""
_WHOLE = re.compile(r"\\in\s*\\mathbb\s*\{?Z")
_WHOLE_NAME = re.compile(r"(?<![A-Za-z\\])[kmn](?![A-Za-z])")
_OPTION = re.compile(r"\(?([A-J])\)?")
_OPTIONS = re.compile(r"(?<![A-Za-z\\])[A-J]{1,4}(?![A-Za-z])")
_LETTERS = re.compile(r"[A-Za-z]{2,}")
_CURRENCIES = re.compile(r"[€£¥₹]|\b(?:dollar|euro|pound|yen|rupee)(?=s?\b)")
_SIGN_OF = {"dollar": "$", "euro": "€", "pound": "£", "yen": "¥", "rupee": "₹"}
_MODULUS = re.compile(r"\\(?:pmod|bmod|mod)\s*\{?\s*(\w+)|\bmod\s+(\w+)")


def decide(reference: str | None, answer: str | None, kind: AnswerKind) -> Outcome | None:
    """Return the outcome where it can be had exactly or must be refused; None if Math-Verify is needed."""
    if reference is None or answer is None or max(len(reference), len(answer)) > MAX_LENGTH:
        return "undetermined"
    *others, answer = answer.split(OR_RATHER)
    try:
        outcome = _decide(reference, answer, kind)
        if others and outcome != "correct":  # which of a sentence's values is the answer was guessed
            wrong = all(_decide(reference, other, kind) == "wrong" for other in (*others, answer))
            return "wrong" if wrong else "undetermined"
        return outcome
    except Exception:  # an exotic answer never costs a problem, whatever it breaks
        return "undetermined"


@lru_cache(maxsize=1 << 14)  # the rollouts of a problem end at few different answers
def _decide(reference: str, answer: str, kind: AnswerKind) -> Outcome | None:
    if not answer.strip() or not reference.strip():
        return "undetermined"
    if kind == "plan":  # another plan may be as good: `plan_outcome` has the puzzle and carries it out
        return "correct" if _as_text(reference, kind) == _as_text(answer, kind) else "undetermined"
    if refusal(answer) is not None or refusal(reference) is not None:
        return "undetermined"
    same = kind in ("choice", "text") and _as_text(reference, kind) == _as_text(answer, kind)
    if kind == "text" or same:
        return _outcome(same)
    if kind == "choice":
        return _decide_math(cleaned(reference), cleaned(answer)) or "undetermined"
    if all(side.isdigit() and side.isascii() for side in (reference, answer)):
        return _outcome(int(reference) == int(answer))
    if kind in EXACT_KINDS:
        left, right = _exact(reference), _exact(answer)
        if left is not None and right is not None:
            return _outcome(left == right)
    outcome = _decide_math(cleaned(reference), cleaned(answer))
    if outcome == "correct" and (_other(reference, answer) or not may_be_equal(reference, answer)):
        return "undetermined"
    return outcome


def _other(reference: str, answer: str) -> bool:
    """Whether both sides name a currency, or a modulus, and not the same one."""
    moduli = [set(_MODULUS.findall(side)) for side in (reference, answer)]
    signs = [
        {"$"} if "\\$" in side or side.count("$") == 1 else {_SIGN_OF.get(c, c) for c in _CURRENCIES.findall(side)}
        for side in (reference, answer)
    ]
    return any(all(named) and named[0] != named[1] for named in (signs, moduli))


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
    if len(reference) == len(answer) == 1 and reference.casefold() == answer.casefold():
        return "undetermined"  # an option, or two quantities
    plain = [without_text_commands(side) for side in (reference, answer)]
    if (dated := same_date(*plain)) is not None:
        return dated
    if any(float(found[1]) < float(found[2]) for found in map(_RANGE.fullmatch, plain) if found):
        return "undetermined"
    if all(map(_LETTERS.fullmatch, plain)) and any(side != side.lower() or len(side) > 3 for side in plain):
        return _letters(*plain)
    outcome = compare(read_answer(reference), read_answer(answer))
    _, rounds, rounded = answer.rpartition("\\approx")
    if outcome == "wrong" and rounds and compare(read_answer(reference), read_answer(rounded)) == "correct":
        return "undetermined"  # 12\pi \approx 37.7, where the reference is rounded
    if outcome == "wrong" and _WHOLE.search(reference + answer) and all(map(_WHOLE_NAME.search, (reference, answer))):
        return "undetermined"  # k\pi + \pi/2 and k\pi - \pi/2 are the same numbers
    option = _OPTION.fullmatch(plain[0])
    return "undetermined" if outcome == "wrong" and option and not _names_another(option[1], plain[1]) else outcome


def _names_another(option: str, answer: str) -> bool:
    """Whether an answer names options, and not only this one: ``42`` and ``C - 42`` may be the text of option C."""
    named = _OPTIONS.findall(answer.upper() if len(answer.strip("(). ")) == 1 else answer)
    return bool(set("".join(named)) - {option, "I"})


def _letters(reference: str, answer: str) -> Outcome:
    """Compare words and orders of letters: ``THT`` is not ``TTH``, and ``AB`` may be ``BA``."""
    if reference.casefold() == answer.casefold():
        return "correct" if reference == answer or len(reference) > 2 else "undetermined"
    if shortened(reference, answer) or may_say_the_same({reference.casefold()}, {answer.casefold()}):
        return "undetermined"
    return "undetermined" if len(reference) == 2 and sorted(reference) == sorted(answer) else "wrong"


def subject(reference: str | None, answer: str | None) -> str:
    """What was compared, such as ``percentage against number``: disagreements between graders are counted by it."""
    if reference is None or not reference.strip():
        return "no reference"
    if answer is None or not answer.strip():
        return "no answer found"
    if refusal(reference) or refusal(answer):
        return "refused"
    try:
        gold, given = read_answer(cleaned(reference)), read_answer(cleaned(answer))
    except Exception:  # what cannot even be read has a kind of its own
        return "unread"
    one, other = _name(gold), _name(given)
    if one != other:
        return f"{one} against {other}"
    numbers = [side.number for side in (gold, given) if isinstance(side, Value) and side.number is not None]
    equal = len(numbers) == 2 and numbers[0].value == numbers[1].value
    return f"{one}, equal values" if equal else one


def _name(reading: Reading) -> str:
    if isinstance(reading, Items):
        return reading.kind
    if not isinstance(reading, Value):
        return type(reading).__name__.lower()
    if reading.number is None:
        return "formula"
    return "percentage" if reading.number.percent else "quantity" if reading.unit.name else "number"
