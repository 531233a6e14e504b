"""The step after which the reference answer is least likely, against the solution's own."""

import asyncio
from collections.abc import Sequence

from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved

from stepforge.labelers.answer_likelihood import NO_ANSWER, AnswerLikelihood
from stepforge.labelers.labeling import TRUNCATED
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion
from stepforge.schemas.rollout import Rollout, Step


class Reads(KnownPolicy):
    """Gives the reference ``ahead[t]`` nats more than any other answer after t steps, over two tokens."""

    def __init__(self, *ahead: float, fails_at: int | None = None) -> None:
        super().__init__(lambda prefix: 0.5)
        self.ahead, self.fails_at = ahead, fails_at
        self.read: list[tuple[str, str]] = []

    async def likelihood(self, problem: Problem, prefix: Sequence[Step], lead: str, text: str) -> Completion:
        self.read.append((lead, text))
        if len(prefix) == self.fails_at:
            return Completion.failed("the server is on fire", "server")
        chance = -20 + self.ahead[len(prefix)] * (text == f"{problem.answer}}}")
        return Completion(
            text="ab",
            token_ids=(1, 2),
            token_ends=(1, 2),
            finish="stop",
            tokens=1,
            prompt_tokens=30,
            logprobs=(chance / 2, chance / 2),
        )


def labeled(policy: Reads, solution: Rollout, problem: Problem | None = None) -> LabeledProblem:
    return asyncio.run(AnswerLikelihood()(solved(solution, problem=problem), policy, EqualGrader(), seed=0))


WRONG = a_solution("bad", "ABCD", "wrong").model_copy(update={"answer": "7"})


def test_the_largest_fall_is_the_first_error_and_everything_read_is_charged() -> None:
    policy = Reads(1, 2, -3, -4, -6)
    row = labeled(policy, WRONG)
    assert row.solutions[0].verdict.first_error == 1
    cost = row.costs[0].cost
    assert (cost.rollouts, cost.prompt_tokens) == (10, 300)
    assert {text for _, text in policy.read} == {f"{a_problem().answer}}}", "7}"}


def test_the_answer_begins_a_line() -> None:
    steps = (Step(text="a = 1"), Step(text=" and b = 2\n"))
    policy = Reads(0, 0, 0)
    labeled(policy, WRONG.model_copy(update={"steps": steps}))
    lead = AnswerLikelihood().lead
    assert [lead for lead, _ in policy.read[::2]] == [lead, f"\n{lead}", lead]


def test_a_right_answer_is_not_read() -> None:
    policy = Reads(0, 0, 0)
    assert labeled(policy, a_solution("good", "AB", "correct")).solutions[0].verdict.finds_no_error
    assert policy.read == []


def test_without_two_answers_or_with_a_failed_reading_it_abstains() -> None:
    policy = Reads(1, 2, -3, -4, -6, fails_at=2)
    assert labeled(policy, WRONG).solutions[0].verdict.reason == "the server is on fire"
    no_reference = a_problem().model_copy(update={"answer": None})
    assert labeled(Reads(), WRONG, no_reference).solutions[0].verdict.reason == NO_ANSWER
    assert labeled(Reads(), WRONG.model_copy(update={"answer": None})).solutions[0].verdict.reason == NO_ANSWER
    cut = a_solution("cut", "AB", "undetermined")
    assert labeled(Reads(), cut).solutions[0].verdict.reason == TRUNCATED
