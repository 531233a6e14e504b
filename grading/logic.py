"""Formulas in words: ``if P and Q then R``, ``every cat is a pet``, ``Rex is no dog``; and steps that deduce one."""

import re
from typing import Literal, NamedTuple

Operator = Literal["atom", "not", "and", "or", "if", "is", "every", "no", "some"]

_IF = re.compile(r"if (.+) then (.+)")
_QUANTIFIED = re.compile(r"(every|no|some) (\w+) is an? (\w+)")
_IS = re.compile(r"([A-Z]\w+) is (an?|no) (\w+)")
_ATOM = re.compile(r"[A-Z]")
_KNOWN = re.compile(r"Known: (.+)\. Which")
LONGEST = 500
"""A longer text is no formula, in characters."""
SO = " so "
"""Between the formulas that a step starts from and the one that it deduces."""


class Formula(NamedTuple):
    """An operator and its parts; those of ``atom``, ``is``, ``every``, ``no`` and ``some`` are names."""

    operator: Operator
    parts: "tuple[Formula | str, ...]"


class Deduction(NamedTuple):
    """What a line says: some formulas, so another."""

    sources: tuple[Formula | None, ...]
    """None for one that cannot be read."""
    conclusion: Formula


def read_formula(text: str) -> Formula | None:
    text = text.strip()
    if len(text) > LONGEST:
        return None
    if (found := _IF.fullmatch(text)) is not None:
        return _made("if", found[1], found[2])
    for operator in ("or", "and"):
        if len(parts := text.split(f" {operator} ")) > 1:
            return _made("or" if operator == "or" else "and", *parts)
    if text.startswith("not "):
        return _made("not", text[4:])
    if (found := _QUANTIFIED.fullmatch(text)) is not None:
        quantifier: Operator = "every" if found[1] == "every" else "no" if found[1] == "no" else "some"
        return Formula(quantifier, (found[2], found[3]))
    if (found := _IS.fullmatch(text)) is not None:
        plain = Formula("is", (found[1], found[3]))
        return Formula("not", (plain,)) if found[2] == "no" else plain
    return Formula("atom", (text,)) if _ATOM.fullmatch(text) else None


def _made(operator: Operator, *texts: str) -> Formula | None:
    parts = [read_formula(text) for text in texts]
    return Formula(operator, tuple(part for part in parts if part)) if all(parts) else None


def read_deduction(line: str) -> Deduction | None:
    """Parse the deduction of a line (``from P, if P then Q, so Q``); None if it has none."""
    sources, so, conclusion = line.strip().removeprefix("from ").partition(SO)
    formula = read_formula(conclusion.rstrip(". "))
    if not so or formula is None:
        return None
    return Deduction(tuple(map(read_formula, sources.rstrip(", ").split(", "))), formula)


def known_formulas(question: str) -> tuple[Formula, ...]:
    found = _KNOWN.search(question)
    formulas = map(read_formula, found[1].split(". ")) if found else ()
    return tuple(formula for formula in formulas if formula is not None)
