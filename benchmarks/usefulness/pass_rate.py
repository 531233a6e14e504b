"""Sampling a policy's weights on held-out problems: at temperature 1, as every run samples, and greedily."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.pipelines.engines import AnyEngine, ScriptedEngineSettings, open_engine
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Engine, Grader
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class Decoding(Record):
    """One way to draw solutions."""

    name: str
    temperature: float
    samples: int


class Sampler:
    """Lets models solve the same problems; what was drawn before is read from the folder."""

    def __init__(
        self, engine: AnyEngine, policy: PolicySettings, ways: Sequence[Decoding], folder: Path, seed: int
    ) -> None:
        self.engine = engine
        self.policy = policy
        self.ways = ways
        self.folder = folder
        self.seed = seed

    async def solved_by(
        self, model: str, name: str, problems: Sequence[Problem], grader: Grader
    ) -> dict[str, list[SolvedProblem]]:
        """Return the problems as a model solves them, by the way it is decoded.

        Sampled in float32, base and trained alike: a small learning rate moves weights by less than bfloat16 can hold.
        """
        paths = {way.name: self.folder / way.name / f"{name}.parquet" for way in self.ways}
        missing = [way for way in self.ways if not paths[way.name].exists()]
        if missing:
            engine = await open_engine(serving(self.engine, model))
            try:
                for way in missing:
                    rows, digest = await self._drawn(engine, way, problems, grader)
                    write_shard(paths[way.name], rows, SolvedProblem, {"digest": digest})
            finally:
                await engine.close()
        return {way: read_shard(path, SolvedProblem) for way, path in paths.items()}

    async def _drawn(
        self, engine: Engine, way: Decoding, problems: Sequence[Problem], grader: Grader
    ) -> tuple[list[SolvedProblem], str]:
        policy = PromptedPolicy(engine, self.policy.model_copy(update={"temperature": way.temperature}))
        solving = (solve(p, [], policy, grader, n=way.samples, seed=self.seed) for p in problems)
        return await asyncio.gather(*solving), policy.identity.digest


def serving(engine: AnyEngine, model: str) -> AnyEngine:
    """Return the engine's settings with another model in it; the scripted engine has none."""
    if isinstance(engine, ScriptedEngineSettings):
        return engine
    return engine.model_copy(update={"model": model, "dtype": "float32"})


def solve_rates(rows: Sequence[SolvedProblem]) -> list[float]:
    """Return each problem's share of right solutions; one that breaks off is no right one."""
    return [sum(r.outcome == "correct" for r in row.rollouts) / len(row.rollouts) for row in rows]
