"""Families: each item stands alone, every stated value is true, and the answer follows from what is needed."""

import re
from collections import defaultdict
from fractions import Fraction
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.families.quantities import Quantities
from stepforge.generators.family import Family
from stepforge.grading.exact import Polynomial, evaluate
from stepforge.schemas.problem import Problem

every_family = pytest.mark.parametrize("family", ALL_FAMILIES)
coefficients = st.lists(st.integers(-50, 50), min_size=1, max_size=6)


def items(family: type[Family], count: int = 120, **settings: object) -> list[Problem]:
    part = family(**settings)
    return [part.item(7, i) for i in range(count)]


@every_family
def test_an_item_does_not_need_the_others(family: type[Family]) -> None:
    problems = items(family, 40)
    assert family().item(7, 33) == problems[33]
    assert items(family, 40) == problems
    assert len({p.id for p in problems}) == 40


@every_family
def test_neighboring_seeds_share_no_shifted_items(family: type[Family]) -> None:
    first, second = ([family().item(seed, i).question for i in range(100)] for seed in (42, 43))
    assert sum(a == b for a, b in zip(first[1:], second, strict=False)) <= 5
    assert sum(a == b for a, b in zip(first, second, strict=True)) <= 5
    assert not {family().item(42, i).id for i in range(100)} & {family().item(43, i).id for i in range(100)}


@every_family
@pytest.mark.parametrize("levels", [(0,), (1, 99), ()])
def test_a_level_outside_the_range_is_refused_by_name(family: type[Family], levels: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="levels"):
        family(levels=levels)


@every_family
@pytest.mark.parametrize("level", range(1, 7))
def test_every_statement_is_true_and_the_answer_follows(family: type[Family], level: int) -> None:
    for problem in items(family, levels=(level,)):
        assert problem.truth is not None
        quantities = problem.truth.quantities
        for quantity in quantities:
            value = evaluate(quantity.value)
            assert str(value) == quantity.value
            assert not quantity.expression or evaluate(quantity.expression) == value
        needed = [q for q in quantities if q.needed]
        assert problem.difficulty == level
        # Euclid's algorithm ends at the remainder 0; the answer is the divisor before it.
        values = {q.value for q in needed} | (
            {re.findall(r"\d+", problem.question)[1]} if "greatest" in problem.question else set()
        )
        assert problem.answer in values


def test_distractors_are_there_when_asked_for() -> None:
    for problem in items(Quantities, 60, distractors=3):
        assert problem.truth is not None
        assert sum(not q.needed for q in problem.truth.quantities) >= 3
        assert problem.reference_solution is not None
        assert problem.reference_solution.endswith(f"Answer: {problem.answer}")


@every_family
def test_harder_levels_have_more_steps(family: type[Family]) -> None:
    def steps(level: int) -> float:
        truths = [p.truth for p in items(family, 150, levels=(level,))]
        return mean(sum(q.needed for q in t.quantities) for t in truths if t)

    sizes = [steps(level) for level in (1, 3, 6)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


@every_family
def test_one_group_is_one_structure(family: type[Family]) -> None:
    structures: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for problem in items(family, 600):
        assert problem.truth is not None
        structures[problem.group].add((problem.answer_kind, sum(q.needed for q in problem.truth.quantities)))
    for found in structures.values():
        assert len({kind for kind, _ in found}) == 1
        steps = [count for _, count in found]
        assert max(steps) == min(steps)
    assert len(structures) > 20


@settings(deadline=None)
@given(coefficients, coefficients, st.integers(-9, 9))
def test_polynomials_have_the_values_of_what_they_are_made_of(first: list[int], second: list[int], x: int) -> None:
    def value(polynomial: Polynomial) -> Fraction:
        return sum((c * x**power for power, c in enumerate(polynomial.coefficients)), Fraction(0))

    p, q = Polynomial(first), Polynomial(second)
    assert [value(p + q), value(p - q), value(p * q)] == [value(p) + value(q), value(p) - value(q), value(p) * value(q)]
    assert (p * q).derivative == p.derivative * q + p * q.derivative
    assert Polynomial([0, 1]).derivative == Polynomial([1])
