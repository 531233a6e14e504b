"""Polynomials: values, sums, multiples and derivatives, with exact symbolic answers."""

from random import Random
from typing import Literal

from stepforge.generators.draft import Draft, Free, Say, Sentence, plus
from stepforge.generators.family import Family
from stepforge.grading.exact import MAX_DEGREE, Exact, Polynomial

Task = Literal["derivative", "value", "sum", "slope", "combination"]
BY_LEVEL: dict[int, tuple[Task, ...]] = {
    1: ("derivative",),
    2: ("value", "sum"),
    3: ("value", "slope"),
    4: ("slope", "combination"),
    5: ("combination",),
    6: ("combination",),
}


class Polynomials(Family):
    """``Let p = 2x^2 + 3x - 4 and q = x^2 - 5x + 1. Find the derivative of 2p + q at x = 3.``"""

    kind: Literal["polynomials"] = "polynomials"
    domain = "algebra"

    def draft(self, rng: Random, level: int) -> Draft:
        task = rng.choice(BY_LEVEL[level])
        degree = 3 if level >= 5 else 2
        p, q = _polynomial(rng, degree, 3 + level), _polynomial(rng, degree, 3 + level)
        at = rng.randint(1, 1 + level // 2)
        factor = rng.randint(2, 3)
        return _draft(task, p, q, at, factor, symbolic=level == 4)


def _draft(task: Task, p: Polynomial, q: Polynomial, at: int, factor: int, *, symbolic: bool) -> Draft:
    draft = _plain(task, p, q, at, factor, symbolic=symbolic)
    lets, _, wanted = draft.question.removeprefix("Let ").partition(". Find ")
    question = Sentence("q_polynomials", {"lets": lets, "wanted": wanted.removesuffix(".")})
    return draft._replace(free=Free((question,), _sentence, _needs))


def _sentence(name: str) -> Sentence:
    return Sentence({"m": "multiple", "s": "total", "d": "derivative", "u": "term", "v": "adding"}[name[0]])


def _needs(name: str) -> tuple[str, ...]:
    """Terms may be worked out in any order, before they are added up."""
    if name[0] != "v":
        return tuple("msd"[: "msdu".index(name[0])])
    terms = tuple(f"u{power}" for power in range(1, MAX_DEGREE + 1))
    return (*terms, *(f"v{position}" for position in range(1, int(name[1:]))))


def _plain(task: Task, p: Polynomial, q: Polynomial, at: int, factor: int, *, symbolic: bool) -> Draft:
    both = f"Let p = {p} and q = {q}."
    shape = f"{task} {symbolic} {_shape(p)} {_shape(q) if task in ('sum', 'slope', 'combination') else ''}"
    match task:
        case "derivative":
            question = f"Let p = {p}. Find the derivative of p."
            return Draft(question, lambda say: _derive("d", p, say), shape, "expression")
        case "value":
            question = f"Let p = {p}. Find p at x = {at}."
            return Draft(question, lambda say: _value(p, at, say), f"{shape} {at}")
        case "sum":
            question = f"{both} Find the derivative of p + q."
            return Draft(question, lambda say: _derive("d", say("s", "", p + q), say), shape, "expression")
        case "slope":
            question = f"{both} Find the derivative of p + q at x = {at}."
            return Draft(question, lambda say: _value(_derive("d", say("s", "", p + q), say), at, say), f"{shape} {at}")
        case "combination":
            end = "." if symbolic else f" at x = {at}."
            question = f"{both} Find the derivative of {factor}p + q{end}"
            return Draft(
                question,
                lambda say: _combination(p, q, factor, None if symbolic else at, say),
                f"{shape} {factor} {at}",
                "expression" if symbolic else "integer",
            )


def _combination(p: Polynomial, q: Polynomial, factor: int, at: int | None, say: Say) -> Exact:
    multiple = say("m", "", Polynomial([factor]) * p)
    derivative = _derive("d", say("s", "", multiple + q), say)
    return derivative if at is None else _value(derivative, at, say)


def _derive(name: str, p: Polynomial, say: Say) -> Polynomial:
    return say(name, "", p.derivative)


def _value(p: Polynomial, at: int, say: Say) -> Exact:
    """Say the value of each power's term, then add them up from the left."""
    terms = [(power, int(c)) for power, c in reversed(list(enumerate(p.coefficients))) if c]
    total = 0
    for position, (power, c) in enumerate(terms):
        term = c if power == 0 else say(f"u{power}", _product(c, at, power), c * at**power)
        total = term if position == 0 else say(f"v{position}", plus(total, term), total + term)
    return total


def _product(c: int, at: int, power: int) -> str:
    return f"{c} * {at}" + (f"^{power}" if power > 1 else "")


def _polynomial(rng: Random, degree: int, largest: int) -> Polynomial:
    lower = [rng.choice((-1, 1, 1)) * rng.randint(1, largest) for _ in range(degree)]
    return Polynomial([*lower, rng.randint(1, 4)])


def _shape(p: Polynomial) -> str:
    return "".join("+" if c > 0 else "-" if c < 0 else "0" for c in p.coefficients) + str(p.coefficients[-1])
