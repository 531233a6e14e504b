"""Judging any text by its equations: one that is false is wrong, and so is one whose result no derivation holds.

A derivation starts from the numbers of the question and of the worked answer, a few constants, and what one operation
makes of two of them, and goes on from its own results: a solver may take another way to the answer. Prose is not
judged, nor is the choice of the operation where its result is a value that some derivation holds.
"""

import re
from fractions import Fraction
from itertools import pairwise, product

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.final_answer import stated_answer
from stepforge.labelers.explained import Judged
from stepforge.labelers.reading import numbers_of, read_sentence
from stepforge.schemas.problem import Problem

CONSTANTS = frozenset(map(Fraction, (0, 1, 2, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000)))
"""Numbers that a solver may bring along: halves, days, months, hours, percent."""
_LATEX = [
    (re.compile(r"\\d?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\text\s*\{[^{}]*\}|\\[()\[\]]|\n"), " ; "),
    (re.compile(r"\\[,!;]|\\left|\\right|\\boxed|[{}*]{2}"), " "),
    (re.compile(r"\b(?:third|half|quarter|fourth|fifth|twice|double|triple)s? (?:of )?[$\d][\d.,]*"), "part"),
    (re.compile(r"\\times|\\cdot|\u00d7|\u00b7|(?<=\d)\s*x\s*(?=\d)"), " * "),
    (re.compile(r"\\div|\u00f7"), " / "),
    (re.compile(r"\\approx|\u2248"), " = "),
    (re.compile(r"\\\$"), "$"),
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile(r"(?<=\d) of (?=[$\d])"), " * "),
]
_UNIT = re.compile(
    r"(?<=\d)%?(?:[ -](?!and\b|or\b|so\b|then\b|is\b|if\b|to\b|more\b|plus\b|minus\b)[A-Za-z]+){1,3}(?= ?[-+*/=)])"
)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\\?%")


class Held:
    """The values that a solver may work with: those of the problem, and what was rightly made of them so far."""

    def __init__(self, problem: Problem) -> None:
        quantities = problem.truth.quantities if problem.truth else ()
        texts = [n for q in quantities for n in (*numbers_of(q.expression), q.value)]
        asked = read_sentence(_plain(problem.question)).numbers
        known = {value for text in (*texts, *asked) if (value := _fraction(text)) is not None}
        self.values = known | CONSTANTS | {value / 100 for value in known}
        self.answer = None if problem.answer is None else _fraction(problem.answer)
        self._near = {made for a, b in product(known | CONSTANTS, repeat=2) for made in _made(a, b)}

    def reaches(self, sides: tuple[str, ...]) -> bool:
        """Return whether an equation that holds leads from held values to its result, and hold the result if so."""
        value = _fraction(sides[-1])
        numbers = (_fraction(number) for side in sides[:-1] for number in numbers_of(side))
        reached = value in self.values | self._near or all(n is None or n in self.values for n in numbers)
        if reached and value is not None:
            self.values |= {value}
        return reached


def judge_equations(line: str, held: Held) -> Judged:
    """Return the class of one line of a solution; ``unknown`` where it has no equation."""
    stated = stated_answer(line)
    answer = _fraction(_plain(stated)) if stated is not None else None
    if answer is not None and held.answer is not None and not _close(answer, held.answer, stated or ""):
        return Judged("wrong")
    readings = [_equations(_percent(line, divided)) for divided in (False, True)]
    for both in zip(*readings, strict=False):
        true = next(filter(_holds, both), None)
        if true is None or not held.reaches(true):
            return Judged("wrong")
    return Judged("right" if answer is not None or readings[0] else "unknown")


def _equations(text: str) -> list[tuple[str, ...]]:
    reading = read_sentence(text)
    return [sides for sides in reading.equations if any(re.search(r"\d\)* ?[-+*/]", side) for side in sides)]


def _plain(text: str) -> str:
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    return _UNIT.sub("", text)


def _percent(line: str, divided: bool) -> str:
    return _plain(_PERCENT.sub(r"(\1/100)" if divided else r"\1", line))


def _holds(sides: tuple[str, ...]) -> bool:
    """Whether the sides are equal, a decimal at least as a rounded value of the others."""
    values = [_fraction(side) for side in sides]
    known = [(value, side) for value, side in zip(values, sides, strict=True) if value is not None]
    if len(known) > 2 and sides[0].strip().isdigit():
        known = known[1:]  # "5 pairs = 5 * 2 = 10 shoes"
    return all(_close(b, a, right) for (a, _), (b, right) in pairwise(known))


def _close(stated: Fraction, exact: Fraction, text: str) -> bool:
    if stated == exact:
        return True
    decimals = max((len(d) for d in re.findall(r"\.(\d+)", text)), default=0)
    return decimals > 0 and abs(stated - exact) <= Fraction(1, 10**decimals)


def _made(a: Fraction, b: Fraction) -> list[Fraction]:
    return [a + b, a - b, a * b, *([a / b] if b else [])]


def _fraction(text: str) -> Fraction | None:
    try:
        return evaluate(text.replace("$", "").replace(",", "")).constant
    except ExactError:
        return None
