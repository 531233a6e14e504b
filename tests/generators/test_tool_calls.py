"""A policy that calls a calculator: the call is executed, its answer is a step of the tool, and sampling goes on."""

import asyncio
import re
from collections.abc import Sequence

import pytest
from fakes import Writer

from stepforge.generators.families.tools import Tools
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.grading.calls import answer_call, needless, pending_call
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, Step


def sampled(text: str, problem: Problem, prefix: Sequence[str] = (), **settings: int) -> tuple[Rollout, Writer]:
    engine = Writer(text)
    policy = PromptedPolicy(engine, PolicySettings(tool="calculator", answer="stated", **settings))
    before = [Step(text=part, author="tool" if part.startswith(" = ") else "policy") for part in prefix]
    (rollout,) = asyncio.run(policy.sample(problem, before, n=1, seed=5))
    return rollout, engine


def a_problem(calls: int) -> Problem:
    return next(p for i in range(500) if (p := Tools(levels=(3,)).item(2, i)).truth and p.truth.calls == calls)


def test_a_reference_solution_comes_back_with_the_tools_steps() -> None:
    problem = a_problem(2)
    assert problem.known_solution is not None
    rollout, engine = sampled(problem.known_solution, problem)
    assert rollout.text == problem.known_solution
    assert rollout.answer == problem.answer
    told = [step for step in rollout.steps if step.author == "tool"]
    assert [step.text for step in told] == re.findall(r"(?<=>>).*\n", problem.known_solution)
    assert len(told) == 2 and len(engine.asked) == 3
    assert not any(step.token_ids or step.logprob is not None for step in told)
    written = [step for step in rollout.steps if step.author == "policy"]
    assert ["".join(map(chr, step.token_ids)) for step in written] == [step.text for step in written]
    assert rollout.tokens == sum(len(step.text) for step in written) + 1
    assert rollout.mean_logprob == pytest.approx(-1)


def test_the_answer_is_worked_out_and_not_taken_from_the_policy() -> None:
    problem = a_problem(1)
    rollout, _ = sampled("Ann = <<12 * 12>> = 99\nAnswer: 99", problem)
    assert rollout.steps[1] == Step(text=" = 144\n", author="tool")


def test_a_prefix_that_ends_with_a_call_is_answered_first() -> None:
    problem = a_problem(1)
    whole = "Ann = <<12 * 12>> = 144\nAnswer: 144"
    open_call, engine = sampled(whole, problem, ["Ann = <<12 * 12>>"])
    assert [step.author for step in open_call.steps] == ["tool", "policy"]
    assert engine.asked[0].text.endswith("<<12 * 12>> = 144\n")
    answered, engine = sampled(whole, problem, ["Ann = <<12 * 12>>", " = 144\n"])
    assert [step.text for step in answered.steps] == ["Answer: 144"]
    assert engine.asked[0].token_ids[-1] == ord("\n")


def test_calls_past_the_limit_are_refused_and_a_policy_that_only_calls_is_cut_off() -> None:
    problem = a_problem(1)
    rollout, _ = sampled("a = <<1 + 1>> = 2\nb = <<2 + 2>> = no calls left\nAnswer: 4", problem)
    assert [step.text for step in rollout.steps if step.author == "tool"] == [" = 2\n", " = no calls left\n"]
    assert rollout.answer == "4"
    rollout, _ = sampled("a = <<1 + 1>> = 2\n" + "b = <<2 + 2>> = no calls left\n" * 20, problem)
    assert rollout.finish == "length" and rollout.answer is None
    assert sum(step.author == "tool" for step in rollout.steps) < 6


def test_the_token_limit_is_that_of_the_whole_solution() -> None:
    rollout, engine = sampled("a = <<1 + 1>> = 2\nb = <<2 + 2>> = 4\nAnswer: 4", a_problem(2), max_tokens=20)
    assert engine.limits == [20, 7]
    assert rollout.finish == "length"


def test_what_cannot_be_worked_out_is_said_and_nothing_is_evaluated() -> None:
    assert answer_call("24 * 37") == " = 888\n"
    assert answer_call("1 / 3 + 1 / 6") == " = 1/2\n"
    for hostile in ("__import__('os')", "9 ** 9 ** 9", "1 / 0", "x + 1", "", "1+" * 200, "9^9^9^9"):
        assert answer_call(hostile) in (" = cannot be read\n", " = too long\n")
    assert pending_call("Ann = 3\nBob = <<3 * 4") == "3 * 4"
    assert pending_call("Bob = <<3 * 4>> = 12\n") is None
    assert needless("Bob = <<3 * 40>> = 120") and not needless("Bob = <<13 * 40>> = 520")


def test_python_is_called_and_its_failure_is_no_answer() -> None:
    async def told(program: str) -> str | None:
        return None if "loop" in program else str(len(program))

    async def rollout(text: str) -> Rollout:
        policy = PromptedPolicy(Writer(text), PolicySettings(tool="python", answer="stated"), python=told)
        return (await policy.sample(a_problem(1), (), n=1, seed=5))[0]

    done = asyncio.run(rollout("a = <<print(1)>> = 8\nAnswer: 8"))
    assert done.steps[1] == Step(text=" = 8\n", author="tool") and done.answer == "8"
    lost = asyncio.run(rollout("a = <<loop()>> = 8\nAnswer: 8"))
    assert lost.finish == "error" and lost.outcome == "undetermined" and lost.text == "a = <<loop()>>"
