"""Small functions: their reference programs pass their tests, and planted bugs change one line."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from benchmarks.embedded_policy.changed_programs import planted_bugs
from stepforge.generators.families.programs import Programs
from stepforge.schemas.problem import Problem
from stepforge.schemas.verifier import UnitTests


def failing(problem: Problem, program: str) -> bool:
    """Whether a program of our own fails its tests."""
    names: dict[str, Any] = {}
    assert isinstance(problem.verifier, UnitTests)
    try:
        exec(compile(program + problem.verifier.tests, "program", "exec"), names)  # noqa: S102 - our own templates
    except Exception:
        return True
    return False


@pytest.mark.parametrize("level", range(1, 7))
def test_reference_programs_pass_their_tests(level: int) -> None:
    part = Programs(levels=(level,))
    for i in range(150):
        problem = part.item(5, i)
        assert problem.known_solution is not None and not failing(problem, problem.known_solution)
        assert 2 <= problem.known_solution.count("\n") <= 10
        assert problem.difficulty == level


def test_an_item_stands_alone_and_problems_differ() -> None:
    problems = [Programs().item(5, i) for i in range(400)]
    assert Programs().item(5, 333) == problems[333]
    assert len({p.question for p in problems}) > 300
    assert len({p.group for p in problems}) > 80
    tests = [p.verifier.tests for p in problems if isinstance(p.verifier, UnitTests)]
    assert all(len(set(test.splitlines())) >= 5 for test in tests)


def test_a_group_is_one_template() -> None:
    """Two problems of a group differ in their numbers alone."""
    by_group: dict[str, set[str]] = {}
    for i in range(600):
        problem = Programs(levels=(1, 2, 3, 4, 5, 6)).item(9, i)
        words = "".join(c for c in problem.question if not c.isdigit())
        by_group.setdefault(problem.group, set()).add(words)
    assert max(len(words) for words in by_group.values()) <= 25  # letters of a text are names, as numbers are


def test_a_planted_bug_leaves_all_other_lines_as_they_were() -> None:
    caught, places, looked_at = 0, Counter[int](), 0
    for i in range(150):
        problem = Programs(levels=(1, 2, 3, 4, 5, 6)).item(6, i)
        right = (problem.known_solution or "").splitlines()
        bugs = list(planted_bugs("\n".join(right) + "\n", Random(i)))
        assert bugs
        for bug in bugs[:6]:
            wrong = bug.text.splitlines()
            assert [n for n, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b] == [bug.at]
        if "while" in bugs[0].text:
            continue  # a changed loop may never end
        noticed = [bug for bug in bugs if failing(problem, bug.text)]
        looked_at += 1
        caught += bool(noticed)
        places.update(bug.at for bug in noticed[:1])
    assert caught == looked_at > 120
    assert len(places) >= 6
