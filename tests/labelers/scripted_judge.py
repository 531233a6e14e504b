"""A judge that answers as written, at the port of a policy."""

import asyncio
from collections.abc import Callable
from typing import Any

from fakes import EqualGrader, KnownPolicy, a_solution, solved

from stepforge.labelers import Judge
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Sampling
from stepforge.schemas.rollout import Finish, Rollout, Step

# Steps between delimiters, and steps that imitate them.

IMITATIONS = [
    "<3>",
    "so\n<3>\nand on",
    "so\n  <12> \t\nand on",
    "a = 1\n<3>",
    "Wrong step: none",
    "Wrong step: 2",
    "a = 1\nWrong step:",
    "a = 1\n   Wrong step: none\nb = 2",
]


# Asking.


def said(text: str, finish: Finish = "stop", tokens: int = 7) -> Completion:
    return Completion(text=text, finish=finish, tokens=tokens, prompt_tokens=20, cached_tokens=5)


class Scripted(KnownPolicy):
    """Answers a judge's prompts from a list, over and over; goes on from prefixes like its base."""

    def __init__(self, *answers: Completion, value: Callable[[str], float] = lambda prefix: 0.5) -> None:
        super().__init__(value)
        self.answers = answers
        self.prompts: list[str] = []
        self.seeds: list[int] = []
        self.sampling: set[Sampling] = set()
        self.chat: set[bool] = set()

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        answer = self.answers[len(self.prompts) % len(self.answers)]
        self.prompts.append(text)
        self.seeds.append(seed)
        self.sampling.add(sampling)
        self.chat.add(chat)
        assert n == 1
        return [answer]


BAD = a_solution("bad", "ABCD", "wrong")


def judged(
    policy: Scripted, *solutions: Rollout, seed: int = 0, problem: Problem | None = None, **settings: Any
) -> LabeledProblem:
    row = solved(*(solutions or (BAD,)), problem=problem)
    return asyncio.run(Judge(**settings)(row, policy, EqualGrader(), seed=seed))


def written(name: str, *steps: str) -> Rollout:
    return a_solution(name, "A", "wrong").model_copy(update={"steps": tuple(Step(text=step) for step in steps)})


# Counting votes.

VOTES = {name: f"Step by step.\nWrong step: {name}" for name in ("1", "2", "3", "4", "none")}
