"""What a reward model's values save in search: guided search beside the majority of as many samples as it costs.

    python -m benchmarks.guided_search --scorer head.toml

Problems of all families in free wording, asked of the embedded policy in this process, without Ray. ``--scorer`` is a
TOML of settings as under ``[scorer]`` whose head was trained on problems of other seeds. Intervals are a bootstrap over
problems. Nothing is chosen here: settings are defaults. Cascades of labelers are compared by ``stepforge bench
labelers --config benchmarks/cascades.toml``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import typer

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.search import Asked, Beam, BestOfN, Found, Mcts
from stepforge.grading.votes import equal_answers
from stepforge.pipelines.engines import TransformersEngineSettings
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.scorers import named_scorer, open_scorer
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Scorer
from stepforge.schemas.rollout import Rollout

SEED = 9101
RESAMPLES = 2000
BUDGETS = (2, 4, 8)
"""Whole solutions that each way of answering may cost, in tokens of an average one."""


def problems(count: int, seed: int) -> list[Problem]:
    families = [part(wording="free", levels=(1, 2, 3, 4)) for part in ALL_FAMILIES]
    return [families[i % len(families)].item(seed, i // len(families)) for i in range(count)]


async def compare_searches(
    asked: Sequence[Problem], policy: PromptedPolicy, grader: PooledGrader, scorer: Scorer
) -> list[dict[str, object]]:
    """Return the share of problems answered rightly by each way, and the tokens it took, budget by budget."""
    shares: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)

    async def one(problem: Problem) -> None:
        at_hand = Asked(problem, policy, grader, scorer, SEED)
        sampled = await BestOfN(n=2 * max(BUDGETS), value="certainty")(at_hand)
        mean = sum(r.tokens for r in sampled.solutions) / len(sampled.solutions)
        for n in BUDGETS:
            ways: dict[str, Found] = {
                "best_of_n, scorer": await BestOfN(n=n)(at_hand),
                "best_of_n, certainty": await BestOfN(n=n, value="certainty")(at_hand),
                "beam, scorer": await Beam(width=max(1, n // 2), expand=2)(at_hand),
                "mcts, scorer": await Mcts(simulations=n)(at_hand),
            }
            for name, found in ways.items():
                best = found.solutions[:1]
                shares[name, n].append((await _right(problem, best, grader), found.tokens))
                if name != "beam, scorer":
                    shares[f"{name}, weighted vote", n].append(
                        (await _right(problem, _vote(problem, found.solutions, found.values), grader), found.tokens)
                    )
                # majority of as many independent samples as these tokens pay for
                paid = max(1, min(len(sampled.solutions), round(found.tokens / max(mean, 1))))
                others = sorted(sampled.solutions, key=lambda r: r.id)[:paid]
                spent = sum(r.tokens for r in others)
                vote = _vote(problem, others, [1.0] * len(others))
                shares[f"majority at the tokens of {name}", n].append((await _right(problem, vote, grader), spent))

    await asyncio.gather(*(one(problem) for problem in asked))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(asked), (RESAMPLES, len(asked)))
    rows = []
    for (name, n), values in sorted(shares.items(), key=lambda item: (item[0][1], item[0][0])):
        right = np.array([share for share, _ in values])
        rows.append(
            {
                "way": name,
                "n": n,
                "right": round(float(right.mean()), 4),
                "interval": _interval(right[drawn].mean(1)),
                "tokens_per_problem": round(float(np.mean([tokens for _, tokens in values])), 1),
            }
        )
    return rows


async def _right(problem: Problem, chosen: Sequence[Rollout], grader: PooledGrader) -> float:
    outcomes = await grader.grade(problem, [r.answer for r in chosen])
    return outcomes.count("correct") / len(outcomes) if outcomes else 0.0


def _vote(problem: Problem, solutions: Sequence[Rollout], weights: Sequence[float]) -> list[Rollout]:
    """Return a solution with the answer that has the largest sum of weights."""
    answered = [(r, w) for r, w in zip(solutions, weights, strict=True) if r.answer is not None]
    leaders = equal_answers([r.answer for r, _ in answered if r.answer is not None], problem.answer_kind)
    sums: dict[str, float] = defaultdict(float)
    for rollout, weight in answered:
        sums[leaders[rollout.answer or ""]] += weight
    winner = max(sums, key=lambda answer: sums[answer], default=None)
    return [r for r, _ in answered if leaders[r.answer or ""] == winner][:1]


def _interval(values: Any) -> list[float]:
    return [round(float(x), 4) for x in np.percentile(values, [2.5, 97.5])]


async def measure(scorer: str, asked: Sequence[Problem]) -> list[dict[str, object]]:
    engine = await TransformersEngineSettings(model="embedded-free", logprobs=True, batch_size=128).open()
    policy = PromptedPolicy(engine, PolicySettings(temperature=0.7, max_tokens=480, answer="stated"))
    loaded = await open_scorer(named_scorer(scorer))
    try:
        async with PooledGrader() as grader:
            return await compare_searches(asked, policy, grader, loaded)
    finally:
        await loaded.close()
        await engine.close()


def main(
    scorer: Annotated[str, typer.Option()], seed: int = SEED, count: Annotated[int, typer.Option("--problems")] = 120
) -> None:
    for row in asyncio.run(measure(scorer, problems(count, seed))):
        print(*(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    typer.run(main)
