"""Sampling a policy's weights on held-out problems, as every policy is sampled: temperature 1, the run's own prompt."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from generators.policy import PolicySettings, PromptedPolicy
from pipelines.engines import AnyEngine, ScriptedEngineSettings, open_engine
from pipelines.shards import read_shard, write_shard
from pipelines.stages import solve
from schemas.problem import Problem
from schemas.protocols import Grader
from schemas.rollout import SolvedProblem


async def solved_by(
    model: str,
    problems: Sequence[Problem],
    engine: AnyEngine,
    settings: PolicySettings,
    grader: Grader,
    path: Path,
    *,
    samples: int,
    seed: int,
) -> list[SolvedProblem]:
    """Return the problems as a model solves them; read from ``path`` where that was done before.

    Sampled in float32, base and trained alike: a small learning rate moves weights by less than bfloat16 can hold.
    """
    if not path.exists():  # noqa: ASYNC240
        policy = PromptedPolicy(await open_engine(serving(engine, model)), settings)
        try:
            rows = await asyncio.gather(*(solve(p, [], policy, grader, n=samples, seed=seed) for p in problems))
        finally:
            await policy.engine.close()
        write_shard(path, rows, SolvedProblem, {"model": policy.identity.digest})
    return read_shard(path, SolvedProblem)


def serving(engine: AnyEngine, model: str) -> AnyEngine:
    """Return the engine's settings with another model in it; the scripted engine has none."""
    if isinstance(engine, ScriptedEngineSettings):
        return engine
    return engine.model_copy(update={"model": model, "dtype": "float32"})


def solve_rates(rows: Sequence[SolvedProblem]) -> list[float]:
    """Return each problem's share of right solutions; one that breaks off is no right one."""
    return [sum(r.outcome == "correct" for r in row.rollouts) / len(row.rollouts) for row in rows]
