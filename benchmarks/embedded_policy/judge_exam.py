"""How good the policy's second task is: checking planted errors, and checking solutions of its own."""

import asyncio
from collections.abc import Sequence
from typing import Any

from benchmarks.embedded_policy.verdict_corpus import HELD_OUT, PROMPT, WORDINGS, check
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PromptedPolicy
from stepforge.labelers.judge import Judge
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.verdict_text import delimiter, read_verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Sampling
from stepforge.schemas.rollout import Rollout, SolvedProblem
from stepforge.schemas.seeds import rng_of, seed_of

JUDGE = Judge(votes=1, wordings=WORDINGS, template=PROMPT, marked=False, chat=False, max_tokens=400, temperature=0.0)
"""As the policy was taught to check; the likeliest verdict."""
PLANTED = 100
"""Planted solutions a family."""
PLANTED_SEED = 99_000_002

Case = tuple[Problem, Rollout]


async def examine_judge(policy: PromptedPolicy, wrong: Sequence[Case], clean: Sequence[Case]) -> dict[str, Any]:
    """Return shares of verdicts that are exactly right: on planted errors, on its own errors, on its own clean work.

    ``held_out`` is the family whose solutions were never checked in training.
    """
    by_family = await asyncio.gather(*(_planted(policy, family) for family in ALL_FAMILIES))
    planted = {_kind(family): cases for family, cases in zip(ALL_FAMILIES, by_family, strict=True)}
    figures: dict[str, Any] = {}
    for name, kinds in (("taught", set(planted) - {HELD_OUT}), ("held_out", {HELD_OUT})):
        chosen = [case for kind in sorted(kinds) for case in planted[kind]]
        figures[name] = {
            "planted_errors": _share([exact for erroneous, exact in chosen if erroneous]),
            "planted_clean": _share([exact for erroneous, exact in chosen if not erroneous]),
            "own_errors": await _own(policy, [case for case in wrong if case[0].source in kinds]),
            "own_clean": await _own(policy, [case for case in clean if case[0].source in kinds]),
        }
    return figures


async def _planted(policy: PromptedPolicy, family: Any) -> list[tuple[bool, bool]]:
    """Return (holds an error, judged exactly) of planted solutions."""
    part = family(levels=tuple(range(1, family.max_level + 1)))

    async def judged(index: int) -> tuple[bool, bool]:
        draft, _ = part.draw(PLANTED_SEED, index)
        made = check(draft, rng_of(PLANTED_SEED, _kind(family), index))
        sampling = Sampling(temperature=0.0, max_tokens=400)
        (answer,) = await policy.ask(made.prompt, n=1, seed=index, sampling=sampling)
        steps = sum(line == delimiter(i + 1) for i, line in enumerate(_delimiters(made.prompt)))
        truth = read_verdict(made.critique, steps)
        return truth[1] is not None, read_verdict(answer.text, steps) == truth

    return list(await asyncio.gather(*(judged(index) for index in range(PLANTED))))


async def _own(policy: PromptedPolicy, cases: Sequence[Case]) -> dict[str, float | int]:
    async def judged(problem: Problem, rollout: Rollout) -> bool:
        solved = SolvedProblem(problem=problem, rollouts=(rollout,), policy=policy.identity)
        seed = seed_of("judge exam", rollout.id)
        verdict = (await JUDGE(solved, policy, _NoGrader(), seed=seed)).solutions[0].verdict
        return not verdict.abstained and verdict.first_error == oracle_verdict(problem, rollout).first_error

    return _share(list(await asyncio.gather(*(judged(*case) for case in cases))))


class _NoGrader:
    """A judge compares no answers."""

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Any]:
        raise RuntimeError("a judge compares no answers")


def _delimiters(prompt: str) -> list[str]:
    return [line for line in prompt.split("\n") if line.startswith("<") and line.endswith(">")]


def _kind(family: Any) -> str:
    return str(family.model_fields["kind"].default)


def _share(flags: Sequence[bool]) -> dict[str, float | int]:
    return {"exact": round(sum(flags) / len(flags), 4) if flags else 0.0, "solutions": len(flags)}
