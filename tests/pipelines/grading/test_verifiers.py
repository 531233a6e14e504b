"""Outcomes that a verifier decides, through the grader that all stages use."""

import asyncio

import pytest
from fakes import outcomes

from stepforge.generators.families.programs import Programs
from stepforge.pipelines.grading.grader import PooledGrader

pytestmark = pytest.mark.anyio


def test_tests_decide_between_three_outcomes() -> None:
    problem = Programs(levels=(3,)).item(1, 4)
    right = problem.known_solution or ""
    assert outcomes(problem, right, right.replace("return", "return 1 +"), "import os\nos._exit(0)\n", None) == [
        "correct",
        "wrong",
        "undetermined",
        "undetermined",
    ]


async def test_every_reference_program_is_correct() -> None:
    problems = [Programs(levels=(1, 2, 3, 4, 5, 6)).item(2, i) for i in range(24)]
    async with PooledGrader() as grader:
        assert await asyncio.gather(*(grader.grade(p, [p.known_solution]) for p in problems)) == [["correct"]] * 24


async def test_a_call_of_python_is_run_in_isolation() -> None:
    async with PooledGrader() as grader:
        assert await grader.run_python("24 * 37") == "888"
        assert await grader.run_python("print('a')") == "a\n"
        assert await grader.run_python("1 / 0") == "ZeroDivisionError: division by zero"
        assert await grader.run_python("import os\nos._exit(0)") is None
