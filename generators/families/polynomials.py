"""Polynomials: values, sums, multiples and derivatives, with exact symbolic answers."""

from random import Random
from typing import Literal

from stepforge.generators.draft import Draft, Say, Sentence, plus
from stepforge.generators.family import Family
from stepforge.grading.exact import Exact, Polynomial

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
    both = task in ("sum", "slope", "combination")
    lets = f"p = {p} and q = {q}" if both else f"p = {p}"
    wanted = "" if task == "value" else "the derivative of "
    wanted += {"sum": "p + q", "slope": "p + q", "combination": f"{factor}p + q"}.get(task, "p")
    valued = task in ("value", "slope") or (task == "combination" and not symbolic)
    wanted += f" at x = {at}" if valued else ""
    ending = {"value": f" {at}", "slope": f" {at}", "combination": f" {factor} {at}"}.get(task, "")

    def work(say: Say) -> Exact:
        value = say("m", "", Polynomial([factor]) * p) if task == "combination" else p
        value = say("s", "", value + q) if both else value
        value = say("d", "", value.derivative) if task != "value" else value
        return _value(value, at, say) if valued else value

    return Draft(
        question=(Sentence("q_polynomials", {"lets": lets, "wanted": wanted}),),
        work=work,
        shape=f"{task} {symbolic} {_shape(p)} {_shape(q) if both else ''}{ending}",
        answer_kind="integer" if valued else "expression",
    )


def _value(p: Polynomial, at: int, say: Say) -> Exact:
    """Say the value of each power's term, then add them up from the left."""
    terms = [(power, int(c)) for power, c in reversed(list(enumerate(p.coefficients))) if c]
    total = 0
    for position, (power, c) in enumerate(terms):
        raised = f"^{power}" if power > 1 else ""
        term = c if power == 0 else say(f"u{power}", f"{c} * {at}{raised}", c * at**power)
        total = term if position == 0 else say(f"v{position}", plus(total, term), total + term)
    return total


def _polynomial(rng: Random, degree: int, largest: int) -> Polynomial:
    lower = [rng.choice((-1, 1, 1)) * rng.randint(1, largest) for _ in range(degree)]
    return Polynomial([*lower, rng.randint(1, 4)])


def _shape(p: Polynomial) -> str:
    return "".join("+" if c > 0 else "-" if c < 0 else "0" for c in p.coefficients) + str(p.coefficients[-1])
