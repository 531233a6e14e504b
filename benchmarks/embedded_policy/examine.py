"""Examine a policy: ``python -m benchmarks.embedded_policy.examine``. Writes its model card and figures.

Pass rate at temperature 1 by family and difficulty, where the first errors lie, and how often the policy still ends
right once a wrong step is in the prefix (recovery): the figure that decides how far "any success" can be trusted.
"""

import argparse
import asyncio
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from benchmarks.embedded_policy.judge_exam import examine_judge
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

EXAM_SEED = 99_000_001
"""Apart from the training seed and from the seeds in configs/."""


async def examine(policy: PromptedPolicy, *, problems: int, solutions: int, recoveries: int) -> dict[str, Any]:
    """Return the figures, from ``problems`` a family and level, ``solutions`` each."""
    grader = PooledGrader()
    asked = [
        (family.model_fields["kind"].default, level, family(levels=(level,)).item(EXAM_SEED, 1000 * level + i))
        for family in ALL_FAMILIES
        for level in range(1, family.max_level + 1)
        for i in range(problems)
    ]
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
    clean = [
        (problem, rollout) for (_, _, problem), rollouts in zip(asked, sampled, strict=True) for rollout in rollouts
    ]
    clean = [case for case in clean if oracle_verdict(*case).first_error is None and case[1].outcome == "correct"]
    cases = erroneous[:: max(1, len(erroneous) // recoveries)]
    recovered = await asyncio.gather(*(_recover(policy, grader, *case) for case in cases))
    return {
        "pass_rate": {f: {str(level): _mean(flags) for level, flags in cells.items()} for f, cells in by_cell.items()},
        "pass_rate_overall": _mean([flag for cells in by_cell.values() for flags in cells.values() for flag in flags]),
        "first_error_positions": dict(sorted(positions.items(), key=lambda item: int(item[0]))),
        "recovery_rate_after_a_wrong_step": _mean([flag for flags in recovered for flag in flags]),
        "erroneous_solutions_that_end_right": _mean([r.outcome == "correct" for _, r, _ in erroneous]),
        "solutions": sum(len(rollouts) for rollouts in sampled),
        "judge": await examine_judge(policy, [(p, r) for p, r, _ in cases], clean[:: max(1, len(clean) // recoveries)]),
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


def _phases(training: dict[str, Any]) -> str:
    return ", ".join(f"{p['repair_share']:.0%} from minute {p['minute']:.0f}" for p in training["phases"])


def card(figures: dict[str, Any], training: dict[str, Any], parameters: int) -> str:
    """Return the model card."""
    levels = sorted({level for cells in figures["pass_rate"].values() for level in cells})
    rows = [
        f"| {family} | " + " | ".join(f"{cells[level]:.2f}" if level in cells else "" for level in levels) + " |"
        for family, cells in figures["pass_rate"].items()
    ]
    positions = ", ".join(f"step {int(k) + 1}: {v}" for k, v in figures["first_error_positions"].items())
    minutes, tokens = training["seconds"] / 60, training["tokens"] / 1e6
    recovery, lucky = figures["recovery_rate_after_a_wrong_step"], figures["erroneous_solutions_that_end_right"]
    return "\n".join(
        [
            "# The embedded policy",
            "",
            f"A Llama-architecture language model of {parameters / 1e6:.2f} million parameters (bfloat16), trained",
            "from scratch on the project's own procedural problems, so that the whole factory runs on a real model",
            "without downloading one. It solves nothing else.",
            "",
            f"Training: `python -m benchmarks.embedded_policy.train`, {minutes:.0f} minutes on two CPU cores,",
            f"{training['examples']:,} solutions, {tokens:.1f} million tokens. Half of the solutions hold a slip; the",
            f"wrong value itself carries no loss. Share of slips that are repaired: {_phases(training)}.",
            training.get("remarks", ""),
            "",
            "Measured by `python -m benchmarks.embedded_policy.examine` on",
            f"{figures['solutions']:,} solutions at temperature 1. Pass rate by family and difficulty:",
            "",
            "| family | " + " | ".join(levels) + " |",
            "|---|" + "---|" * len(levels),
            *rows,
            "",
            f"Overall {figures['pass_rate_overall']:.2f}. Once a wrong step is in the prefix, {recovery:.1%} of",
            f"completions still end right; {lucky:.1%} of the solutions with a wrong step do.",
            "",
            f"First errors by position: {positions}.",
            "",
            "As a judge of solutions (the likeliest verdict; share named exactly), of errors planted as in training,",
            "and of its own. A judge that always finds no error would score 0 and 1.",
            "",
            "| | planted errors | planted clean | its own errors | its own clean solutions |",
            "|---|---|---|---|---|",
            *(_judge_row(name, shares) for name, shares in figures["judge"].items()),
            "",
            "Licence: Apache-2.0, like the code.",
            "",
        ]
    )


def _judge_row(name: str, shares: dict[str, dict[str, float]]) -> str:
    title = {"taught": "families it was taught to check", "held_out": "the family it was not"}[name]
    cells = [f"{share['exact']:.2f} of {share['solutions']:.0f}" for share in shares.values()]
    return f"| {title} | {' | '.join(cells)} |"


async def _main(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.folder
    settings = VllmEngineSettings(model=str(folder), threads=arguments.threads)
    engine = await open_engine(settings)
    policy = PromptedPolicy(engine, PolicySettings(max_tokens=240))
    try:
        figures = await examine(
            policy, problems=arguments.problems, solutions=arguments.solutions, recoveries=arguments.recoveries
        )
    finally:
        await engine.close()
    training = json.loads((folder / "training.json").read_text())
    parameters = (folder / "model.safetensors").stat().st_size // 2
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "README.md").write_text(card(figures, training, parameters))
    print((folder / "README.md").read_text())


def main() -> None:
    """Read the arguments and examine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=embedded_folder())
    parser.add_argument("--problems", type=int, default=40, help="problems a family and level")
    parser.add_argument("--solutions", type=int, default=4, help="solutions per problem")
    parser.add_argument("--recoveries", type=int, default=1000, help="erroneous solutions to continue from")
    parser.add_argument("--threads", type=int, default=1)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
