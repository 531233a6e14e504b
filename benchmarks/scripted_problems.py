"""Labeled problems of two families, written by the scripted engine in this process: no model, no workers."""

import asyncio

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import ChangePoint, MathShepherd, OmegaPRM
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.stages import label, solve
from stepforge.schemas.labeled import LabeledProblem

FAMILIES = ("quantities", "sequence")
"""Those of `configs/dry_run.toml`."""
PARTS = (ChangePoint(), OmegaPRM(k=8, grow=False), MathShepherd(k=8))
RATES = {"error_rate": 0.08, "recovery_rate": 0.1}


def scripted_problems(count: int, seed: int) -> list[LabeledProblem]:
    """Return problems with four solutions each, labeled by three labelers, of levels 1 to 4."""
    engine = ScriptedEngine(ScriptedEngineSettings(**RATES))
    policy = PromptedPolicy(engine, PolicySettings(answer="stated"))
    families = [part(levels=(1, 2, 3, 4)) for part in ALL_FAMILIES if part().kind in FAMILIES]

    async def row(index: int, grader: PooledGrader) -> LabeledProblem:
        problem = families[index % len(families)].item(seed, index)
        solved = await solve(problem, [], policy, grader, n=4, seed=seed)
        return await label(solved, PARTS, policy, grader, seed=seed)

    async def every() -> list[LabeledProblem]:
        async with PooledGrader() as grader:
            return [await row(index, grader) for index in range(count)]

    return asyncio.run(every())
