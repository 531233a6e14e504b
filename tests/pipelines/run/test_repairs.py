"""Repair traces: the policy is told why its program failed, writes another, and both turns are kept."""

import asyncio

from stepforge.generators.families.programs import Programs
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.segmenters import Statement
from stepforge.labelers import MathShepherd
from stepforge.pipelines.exports import Repairs
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.own_function import FunctionEngine
from stepforge.pipelines.run.stages import label, solve
from stepforge.schemas.labeled import Cost, LabeledProblem
from stepforge.schemas.rollout import Repair

PROBLEM = Programs(levels=(3,)).item(1, 4)
RIGHT = PROBLEM.known_solution or ""
WRONG = RIGHT.replace("return", "return 1 +")
TOLD = "It fails. {message}\nAgain:\n"


def labeled(settings: PolicySettings, second: str = RIGHT) -> tuple[LabeledProblem, list[str]]:
    """Return a problem that a policy solves wrongly at first, and the prompts that it was given."""
    prompts: list[str] = []

    async def write(text: str, seed: int) -> str:
        prompts.append(text)
        return second if text.endswith("Again:\n") else WRONG

    async def work() -> LabeledProblem:
        policy = PromptedPolicy(FunctionEngine(write), settings)
        async with PooledGrader() as grader:
            solved = await solve(PROBLEM, (), policy, grader, n=2, seed=1)
            return await label(solved, [MathShepherd(k=1)], policy, grader, seed=1)

    return asyncio.run(work()), prompts


def test_both_turns_are_kept_and_exported() -> None:
    row, prompts = labeled(PolicySettings(segmenter=Statement(), repair=TOLD))
    first = row.solutions[0].rollout
    assert isinstance(first.repair, Repair)
    assert (first.outcome, first.text) == ("wrong", WRONG)
    assert (first.repair.outcome, first.repair.text) == ("correct", RIGHT)
    assert first.repair.message.startswith("failed: assert f(")
    assert first.repair.prompt == f"{PROBLEM.question}\n{WRONG}It fails. {first.repair.message}\nAgain:\n"
    assert first.repair.prompt in prompts
    assert Cost.of([first]).rollouts == 2
    rows = list(Repairs().rows(row))
    assert [(r.prompt, r.completion) for r in rows] == [(first.repair.prompt, RIGHT)] * 2  # type: ignore[attr-defined]


def test_a_second_turn_that_is_wrong_is_kept_and_not_exported() -> None:
    row, _ = labeled(PolicySettings(repair=TOLD), second=WRONG)
    repair = row.solutions[0].rollout.repair
    assert repair is not None
    assert repair.outcome == "wrong"
    assert list(Repairs().rows(row)) == []


def test_nobody_is_told_where_it_is_not_asked_for() -> None:
    row, prompts = labeled(PolicySettings())
    assert [s.rollout.repair for s in row.solutions] == [None, None]
    assert not any("fails" in prompt for prompt in prompts)
