"""Outcomes that a verifier decides, through the grader that all stages use."""

import asyncio

from fakes import outcomes

from stepforge.generators.families.programs import Programs
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.rollout import Outcome


def test_tests_decide_between_three_outcomes() -> None:
    problem = Programs(levels=(3,)).item(1, 4)
    right = problem.known_solution or ""
    assert outcomes(problem, right, right.replace("return", "return 1 +"), "import os\nos._exit(0)\n", None) == [
        "correct",
        "wrong",
        "undetermined",
        "undetermined",
    ]


def test_every_reference_program_is_correct() -> None:
    async def ask() -> set[Outcome]:
        async with PooledGrader() as grader:
            problems = [Programs(levels=(1, 2, 3, 4, 5, 6)).item(2, i) for i in range(24)]
            found = await asyncio.gather(*(grader.grade(p, [p.known_solution]) for p in problems))
        return {outcome for (outcome,) in found}

    assert asyncio.run(ask()) == {"correct"}


def test_a_call_of_python_is_run_in_isolation() -> None:
    async def told(*programs: str) -> list[str | None]:
        async with PooledGrader() as grader:
            return [await grader.run_python(program) for program in programs]

    assert asyncio.run(told("24 * 37", "print('a')", "1 / 0", "import os\nos._exit(0)")) == [
        "888",
        "a\n",
        "ZeroDivisionError: division by zero",
        None,
    ]
