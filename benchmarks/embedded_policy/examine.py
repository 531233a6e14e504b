"""Examine a policy: ``python -m benchmarks.embedded_policy.examine``. Writes its model card and figures.

Pass rate at temperature 1 by family and difficulty, where the first errors lie, and how often the policy still ends
right once a wrong step is in the prefix (recovery): the figure that decides how far "any success" can be trusted.
``--domains`` examines it on logic, plans, tools and programs.
"""

import argparse
import asyncio
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Literal

from benchmarks.embedded_policy.corpus import domain_families
from benchmarks.embedded_policy.model_card import card
from benchmarks.embedded_policy.siblings import right_and_any
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.grading.outcomes import graded
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.engines import VllmEngineSettings, open_engine
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout
from stepforge.schemas.seeds import seed_of

Wording = Literal["plain", "free"]
EXAM_SEED = 99_000_001
"""Apart from the training seed and from the seeds in configs/."""


def asked_of(problems: int, wording: Wording | None) -> list[tuple[str, int, Problem]]:
    """Return (family, level, problem): ``problems`` of each family and level; without a wording, of the domains."""
    return [
        (family.kind, level, family.item(EXAM_SEED, 1000 * level + i))
        for level in range(1, 7)
        for family in (
            domain_families((level,))
            if wording is None
            else [part(levels=(level,), wording=wording) for part in ALL_FAMILIES]
        )
        for i in range(problems)
    ]


async def examine(
    policy: PromptedPolicy, *, problems: int, solutions: int, recoveries: int, wording: Wording | None = "plain"
) -> dict[str, Any]:
    """Return the figures, from ``problems`` a family and level, ``solutions`` each."""
    grader = PooledGrader()
    asked = asked_of(problems, wording)
    sampled = await asyncio.gather(*(_solve(policy, grader, problem, solutions) for _, _, problem in asked))
    by_cell: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    erroneous: list[tuple[Problem, Rollout, int]] = []
    positions: Counter[str] = Counter()
    for (family, level, problem), rollouts in zip(asked, sampled, strict=True):
        by_cell[family][level] += [r.outcome == "correct" for r in rollouts]
        for rollout in rollouts:
            error = oracle_verdict(problem, rollout).first_error
            if error is not None:
                erroneous.append((problem, rollout, error))
                positions[str(error)] += 1
    cases = erroneous[:: max(1, len(erroneous) // recoveries)]
    recovered = await asyncio.gather(*(_recover(policy, grader, *case) for case in cases))
    shares = sorted(_mean([r.outcome == "correct" for r in rollouts]) for rollouts in sampled)
    return {
        "wording": wording or "plain",
        "pass_rate": {f: {str(level): _mean(flags) for level, flags in cells.items()} for f, cells in by_cell.items()},
        "pass_rate_overall": _mean([flag for cells in by_cell.values() for flags in cells.values() for flag in flags]),
        "first_error_positions": dict(sorted(positions.items(), key=lambda item: int(item[0]))),
        "recovery_rate_after_a_wrong_step": _mean([flag for flags in recovered for flag in flags]),
        "erroneous_solutions_that_end_right": _mean([r.outcome == "correct" for _, r, _ in erroneous]),
        "solutions": sum(len(rollouts) for rollouts in sampled),
        "pass_rate_by_problem": {q: shares[int(len(shares) * int(q) / 100)] for q in ("10", "25", "50", "75", "90")},
        "siblings": {name: found.text for name, found in right_and_any(sampled).items()},
    }


async def _solve(policy: PromptedPolicy, grader: PooledGrader, problem: Problem, n: int) -> list[Rollout]:
    rollouts = await policy.sample(problem, (), n=n, seed=seed_of("exam", problem.id))
    return await graded(problem, rollouts, grader)


async def _recover(
    policy: PromptedPolicy, grader: PooledGrader, problem: Problem, rollout: Rollout, error: int
) -> list[bool]:
    prefix = rollout.steps[: error + 1]
    if error + 1 == len(rollout.steps):
        return []
    rollouts = await policy.sample(problem, prefix, n=8, seed=seed_of("recovery", rollout.id))
    return [r.outcome == "correct" for r in await graded(problem, rollouts, grader)]


def _mean(flags: list[bool]) -> float:
    return round(sum(flags) / len(flags), 4) if flags else 0.0


async def _main(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    settings = VllmEngineSettings(model=str(folder), threads=arguments.threads)
    engine = await open_engine(settings)
    policy = PromptedPolicy(
        engine,
        PolicySettings(
            temperature=arguments.temperature,
            max_tokens=240 if arguments.wording == "plain" else 480,
            tool="calculator" if arguments.domains else None,
        ),
    )
    try:
        figures = await examine(
            policy,
            problems=arguments.problems,
            solutions=arguments.solutions,
            recoveries=arguments.recoveries,
            wording=None if arguments.domains else arguments.wording,
        )
    finally:
        await engine.close()
    figures["temperature"] = arguments.temperature
    training = json.loads((folder / "training.json").read_text())
    parameters = (folder / "model.safetensors").stat().st_size // 2
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "README.md").write_text(card(figures, training, parameters))
    print((folder / "README.md").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=embedded_folder())
    parser.add_argument("--wording", choices=("plain", "free"), default="plain")
    parser.add_argument("--domains", action="store_true", help="problems of logic, plans, tools and programs")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--problems", type=int, default=40, help="problems a family and level")
    parser.add_argument("--solutions", type=int, default=4, help="solutions per problem")
    parser.add_argument("--recoveries", type=int, default=1000, help="erroneous solutions to continue from")
    parser.add_argument("--threads", type=int, default=1)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
