"""Judging any text by its equations: a false one is wrong, and so is one whose result has no derivation.

A derivation starts from the numbers of the question and of the worked answer, a few constants, adds the result of one
operation on two of them, and continues from its own results: a solver may take another way to the answer. Prose is not
judged, nor is the choice of the operation where its result is a value that some derivation holds.
"""

from fractions import Fraction
from itertools import product

from stepforge.grading.final_answer import stated_answer
from stepforge.grading.sentences import numbers_of, read_sentence
from stepforge.grading.stated import close, equations, fraction, holds, plain
from stepforge.labelers.explained import Judged
from stepforge.schemas.problem import Problem

CONSTANTS = frozenset(map(Fraction, (0, 1, 2, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000)))
"""Numbers that a solver may introduce: halves, days, months, hours, percent."""


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
    stated = stated_answer(line)
    answer = fraction(plain(stated)) if stated is not None else None
    if answer is not None and held.answer is not None and not close(answer, held.answer, stated or ""):
        return Judged("wrong")
    found = list(equations(line))
    for readings in found:
        true = next(filter(holds, readings), None)
        if true is None or not held.reaches(true):
            return Judged("wrong")
    return Judged("right" if answer is not None or found else "unknown")


def _made(a: Fraction, b: Fraction) -> list[Fraction]:
    return [a + b, a - b, a * b, *([a / b] if b else [])]
