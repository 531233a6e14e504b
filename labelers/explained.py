"""Judging free text by the truth of its problem.

A sentence by its values (``judge_line``): each number must come from a quantity that the sentence is about. Any text by
its equations (``judge_equations``): a false one is wrong, and so is one whose result has no derivation. A derivation
starts from the numbers of the question and of the worked answer, a few constants, adds the result of one operation on
two of them, and continues from its own results: a solver may take another way to the answer. Prose is not judged there,
nor is the choice of the operation where its result is a value that some derivation holds.
"""

import re
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from stepforge.grading import stated
from stepforge.grading.final_answer import stated_answer
from stepforge.grading.sentences import Reading, canonical, holds, numbers_of, read_sentence
from stepforge.grading.stated import close, equations, fraction, plain
from stepforge.schemas.labeled import StepClass
from stepforge.schemas.problem import Problem, Quantity

REPAIRS = re.compile(
    r"\s*(?:wait|no|hold on|hm|oh|sorry|correction|actually)\b|.{0,40}\b(?:fix|correct|redo|mistake|slip)\b",
    re.IGNORECASE,
)
"""How a sentence that retracts an earlier one opens."""
_NEXT_SENTENCE = re.compile(rf"(?<=[.?!])\s+(?!scratch\b|{REPAIRS.pattern})", re.IGNORECASE)
"""Between two sentences of a line; what retracts belongs to the sentence that it retracts."""
_NAME = re.compile(r"[A-Z][a-z]+")
_TERM = re.compile(r"\bterm (?:number )?(\d+)\b|\b(\d+)(?:st|nd|rd|th) term\b", re.IGNORECASE)
_ANSWER = re.compile(r"\banswer\b|\\boxed|####", re.IGNORECASE)
CONSTANTS = frozenset(map(Fraction, (0, 1, 2, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000)))
"""Numbers that a solver may introduce: halves, days, months, hours, percent."""


class Judged(NamedTuple):
    """A line's class, and the quantity that it names, if it names one."""

    found: StepClass
    subject: str | None = None
    repairs: bool = False
    """Whether it says that it retracts an earlier line."""


class Known(NamedTuple):
    answer: str | None
    order: dict[str, int]
    values: dict[str, str]
    explains: dict[str, frozenset[str]]
    """The numbers that a sentence about a quantity may hold."""
    asked: frozenset[str]
    """The numbers of the question."""


@lru_cache(maxsize=64)
def known(problem: Problem) -> Known:
    quantities = problem.truth.quantities if problem.truth else ()
    asked = read_sentence(problem.question)
    given = asked.numbers | {
        n for sides in (*asked.equations, *asked.about_x) for side in sides for n in numbers_of(side)
    }
    values = {q.name: canonical(q.value) for q in quantities}
    polynomials = frozenset(v for v in (*given, *values.values()) if "x" in v)
    return Known(
        answer=problem.answer,
        order={q.name: place for place, q in enumerate(quantities)},
        values=values,
        explains={q.name: _explained(q, polynomials, given) for q in quantities},
        asked=given,
    )


def _explained(quantity: Quantity, polynomials: frozenset[str], given: frozenset[str]) -> frozenset[str]:
    own = frozenset((*numbers_of(quantity.expression), canonical(quantity.value)))
    return own | polynomials | given if "x" in quantity.value else own


def judge_line(line: str, facts: Known) -> Judged:
    return _judged(line, facts)._replace(repairs=REPAIRS.match(line) is not None)


def _judged(line: str, facts: Known) -> Judged:
    text, mentioned = _without_labels(line, facts)
    reading = read_sentence(text)
    if not all(map(holds, reading.equations)) or not _holds_at_x(reading, facts):
        return Judged("wrong", _last(mentioned, facts))
    if _ANSWER.search(line) and (answer := stated_answer(line)) is not None:
        return Judged("right" if facts.answer is not None and holds((answer, facts.answer)) else "wrong")
    if not reading.numbers:
        return Judged("right" if reading.about_x and "x" in facts.values else "unknown")
    subject = _last(mentioned, facts)
    if subject is not None:
        explained = frozenset[str]().union(*(facts.explains[name] for name in mentioned))
        right = facts.values[subject] in reading.numbers and reading.numbers <= explained
        return Judged("right" if right and _each_explained(line, facts) else "wrong", subject)
    if any(facts.values[name] in reading.numbers and reading.numbers <= facts.explains[name] for name in facts.values):
        return Judged("right")
    return Judged("unknown" if not reading.states and reading.numbers <= facts.asked else "wrong")


def _each_explained(line: str, facts: Known) -> bool:
    """Whether each sentence that speaks of one quantity, with one number, has a number of that quantity."""
    sentences = [_without_labels(sentence, facts) for sentence in _NEXT_SENTENCE.split(line)]
    about_one = [(read_sentence(text).numbers, names[0]) for text, names in sentences if len(names) == 1]
    return all(len(numbers) != 1 or numbers <= facts.explains[name] for numbers, name in about_one)


def _without_labels(line: str, facts: Known) -> tuple[str, list[str]]:
    """Return the line without the numbers that are names, and the names of the quantities that it mentions."""
    terms = [f"t{a or b}" for a, b in _TERM.findall(line)]
    names = [*terms, *_NAME.findall(line)]
    return _TERM.sub("term", line), [name for name in dict.fromkeys(names) if name in facts.values]


def _last(mentioned: list[str], facts: Known) -> str | None:
    return max(mentioned, key=facts.order.__getitem__, default=None)


def _holds_at_x(reading: Reading, facts: Known) -> bool:
    if "x" in facts.values:
        return all(holds(sides, at=facts.values["x"]) for sides in reading.about_x)
    return all(any(side.strip() == "x" for side in sides) for sides in reading.about_x)


class Held:
    """The values that a solver may use: those of the problem, and those correctly derived so far."""

    def __init__(self, problem: Problem) -> None:
        quantities = problem.truth.quantities if problem.truth else ()
        texts = [n for q in quantities for n in (*numbers_of(q.expression), q.value)]
        asked = read_sentence(plain(problem.question)).numbers
        known = {value for text in (*texts, *asked) if (value := fraction(text)) is not None}
        self.values = known | CONSTANTS | {value / 100 for value in known}
        self.answer = None if problem.answer is None else fraction(problem.answer)
        self._near = {made for a, b in product(known | CONSTANTS, repeat=2) for made in _made(a, b)}

    def reaches(self, sides: tuple[str, ...]) -> bool:
        """Return whether an equation that holds leads from held values to its result, and hold the result if so."""
        value = fraction(sides[-1])
        numbers = (fraction(number) for side in sides[:-1] for number in numbers_of(side))
        reached = value in self.values | self._near or all(n is None or n in self.values for n in numbers)
        if reached and value is not None:
            self.values |= {value}
        return reached


def judge_equations(line: str, held: Held) -> Judged:
    """Return the class of one line of a solution; ``unknown`` where it has no equation."""
    said = stated_answer(line)
    answer = fraction(plain(said)) if said is not None else None
    if answer is not None and held.answer is not None and not close(answer, held.answer, said or ""):
        return Judged("wrong")
    found = list(equations(line))
    true = (next(filter(stated.holds, readings), None) for readings in found)
    if not all(sides is not None and held.reaches(sides) for sides in true):
        return Judged("wrong")
    return Judged("right" if answer is not None or found else "unknown")


def _made(a: Fraction, b: Fraction) -> list[Fraction]:
    return [a + b, a - b, a * b, *([a / b] if b else [])]
