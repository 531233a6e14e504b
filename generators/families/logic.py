"""Deduction: which of three candidates follows from what is known, step by step.

Propositional problems chain rules, conjunctions and disjunctions; syllogisms chain ``every`` and ``no`` over a name.
The other candidates stand at the end of rules that never apply.
"""

from random import Random
from typing import ClassVar, Literal, NamedTuple

from stepforge.generators.family import Worked, WorkedFamily

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAMES = ("Rex", "Tom", "Ada", "Max", "Zoe")
KINDS = tuple("cat dog pet fox wolf bird fish frog bee ant toad lion bear deer hare mole crow duck swan seal".split())
SHUFFLED_FROM = 2


class Case(NamedTuple):
    """What is known, the deductions, and what follows."""

    given: tuple[str, ...]
    steps: tuple[str, ...]
    answer: str
    others: tuple[tuple[str, str], ...]
    """Candidates that do not follow, each with a step that wrongly concludes it."""


class Logic(WorkedFamily):
    """``Known: P. if P then Q. Q or R. ... Which follows: S, T or U?``"""

    kind: Literal["logic"] = "logic"
    domain: ClassVar[str] = "logic"

    def work(self, rng: Random, level: int) -> Worked:
        case = _syllogism(rng, level) if rng.random() < 0.5 else _letters(rng, level)
        given = list(case.given)
        if level >= SHUFFLED_FROM:
            rng.shuffle(given)
        choices = [case.answer, *(name for name, _ in case.others)]
        rng.shuffle(choices)
        return Worked(
            question=f"Known: {'. '.join(given)}. Which follows: {choices[0]}, {choices[1]} or {choices[2]}?",
            lines=case.steps,
            answer=case.answer,
            answer_kind="text",
            reading="deductions",
            shape=f"{level} " + " ".join(word for word in ". ".join(case.given).split() if word.islower())[:60],
            drawn=case,
        )


def _letters(rng: Random, level: int) -> Case:
    left = rng.sample(LETTERS, len(LETTERS))
    known = [left.pop()]
    given, steps = [known[0]], []
    for number in range(level):
        new, last = left.pop(), known[-1]
        form = rng.choice(("if", "if", "and", "or") if number else ("if", "or"))
        if form == "and":
            other = rng.choice(known[:-1]) if len(known) > 1 else last
            rule = f"if {last} and {other} then {new}"
            steps.append(f"from {last}, {other}, {rule}, so {new}")
        elif form == "or":
            denied = left.pop()
            rule = f"if {last} then {denied} or {new}"
            given.append(f"not {denied}")
            steps += [f"from {last}, {rule}, so {denied} or {new}", f"from {denied} or {new}, not {denied}, so {new}"]
        else:
            rule = f"if {last} then {new}"
            steps.append(f"from {last}, {rule}, so {new}")
        given.append(rule)
        known.append(new)
    others = []
    for backwards in (True, False):
        wrong, known_part = left.pop(), rng.choice(known)
        missing = left.pop()
        rule = f"if {wrong} then {known_part}" if backwards else f"if {missing} then {wrong}"
        step = f"from {known_part if backwards else missing}, {rule}, so {wrong}"
        given.append(rule)
        others.append((wrong, step))
    return Case(tuple(given), tuple(steps), known[-1], tuple(others))


def _syllogism(rng: Random, level: int) -> Case:
    name, kinds = rng.choice(NAMES), rng.sample(KINDS, len(KINDS))
    first = kinds.pop()
    given, steps, known = [f"{name} is a {first}"], [], [first]
    for number in range(level):
        new, last = kinds.pop(), known[-1]
        no = number == level - 1 and rng.random() < 0.3
        rule = f"{'no' if no else 'every'} {last} is a {new}"
        given.append(rule)
        steps.append(f"from {name} is a {last}, {rule}, so {name} is {'no' if no else 'a'} {new}")
        known.append(new)
    answer = steps[-1].partition(" so ")[2]
    positive = known[:-1] if " no " in answer else known
    others = []
    for backwards in (True, False):
        wrong, missing = kinds.pop(), kinds.pop()
        source = rng.choice(positive)
        rule = f"every {wrong} is a {source}" if backwards else f"every {missing} is a {wrong}"
        given.append(rule)
        step = f"from {name} is a {source if backwards else missing}, {rule}, so {name} is a {wrong}"
        others.append((f"{name} is a {wrong}", step))
    return Case(tuple(given), tuple(steps), answer, tuple(others))
