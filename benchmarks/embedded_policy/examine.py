"""Examine a policy: ``python -m benchmarks.embedded_policy.examine``. Writes its model card and figures.

Pass rate at temperature 1 by family and difficulty, where the first errors lie, and how often the policy still ends
right once a wrong step is in the prefix (recovery): the figure that decides how far "any success" can be trusted.
``--domains`` examines it on logic, plans, tools and programs.
"""

import asyncio
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import typer

from benchmarks.embedded_policy.corpus import domain_families
from benchmarks.embedded_policy.siblings import REAL_MODEL, right_and_any
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Wording
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.grading.outcomes import graded
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.engines import VllmEngineSettings, open_engine
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout
from stepforge.schemas.seeds import seed_of

LONGEST: dict[Wording, int] = {"plain": 240, "free": 480, "long": 2800}
"""Tokens of a completion."""
FOLDER = embedded_folder()
EXAM_SEED = 99_000_001
"""Apart from the training seed and from the seeds in configs/."""


def asked_of(problems: int, wording: Wording | None) -> list[tuple[str, int, Problem]]:
    """Return (family, level, problem): ``problems`` of each family and level; without a wording, of the domains."""
    return [
        (family.kind, level, family.item(EXAM_SEED, 1000 * level + i))
        for level in range(1, 7 if wording != "long" else 11)
        for family in (
            domain_families((level,))
            if wording is None
            else [part(levels=(level,), wording=wording) for part in ALL_FAMILIES if level <= part.max_level]
        )
        for i in range(problems)
    ]


class Size(NamedTuple):
    """How much is sampled."""

    problems: int
    """Of a family and level."""
    solutions: int
    """Of a problem."""
    recoveries: int
    """Erroneous solutions to continue from."""


async def examine(policy: PromptedPolicy, size: Size, wording: Wording | None) -> dict[str, Any]:
    """Return the figures; without a wording, of the domains."""
    grader = PooledGrader()
    asked = asked_of(size.problems, wording)
    sampled = await asyncio.gather(*(_solve(policy, grader, problem, size.solutions) for _, _, problem in asked))
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
    cases = erroneous[:: max(1, len(erroneous) // size.recoveries)]
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


def _phases(training: dict[str, Any]) -> str:
    shares = ((p.get("repair_share", p.get("repair")), p["minute"], p.get("free")) for p in training["phases"])
    return ", ".join(
        f"{share:.0%} from minute {minute:.0f}" + (f" (free wording {free:.0%} of examples)" if free else "")
        for share, minute, free in shares
    )


def card(figures: dict[str, Any], training: dict[str, Any], parameters: int) -> str:
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
            "from scratch on the project's own procedural problems, so the whole factory runs on a real model",
            "without downloading one. It solves nothing else.",
            "",
            f"Training: `python -m benchmarks.embedded_policy.train`, {minutes:.0f} minutes on a CPU,",
            f"{training['examples']:,} solutions, {tokens:.1f} million tokens. Half of the solutions hold a slip; the",
            f"wrong value itself carries no loss. Share of slips that are repaired: {_phases(training)}.",
            training.get("remarks", ""),
            "",
            "Measured by `python -m benchmarks.embedded_policy.examine` on",
            f"{figures['solutions']:,} solutions at temperature {figures.get('temperature', 1.0):g}.",
            "Pass rate by family and difficulty:",
            "",
            "| family | " + " | ".join(levels) + " |",
            "|---|" + "---|" * len(levels),
            *rows,
            "",
            f"Overall {figures['pass_rate_overall']:.2f}. Once a wrong step is in the prefix, {recovery:.1%} of",
            f"completions still reach the right answer; {lucky:.1%} of the solutions with a wrong step do.",
            "",
            f"First errors by position: {positions}.",
            "",
            *_siblings(figures),
            "License: Apache-2.0, like the code.",
            "",
        ]
    )


def _siblings(figures: dict[str, Any]) -> list[str]:
    if "siblings" not in figures:
        return []
    quantiles = ", ".join(f"{q} %: {rate:.2f}" for q, rate in figures["pass_rate_by_problem"].items())
    shared = [f"- {name}: {text}" for name, text in figures["siblings"].items()]
    return [
        f"In {figures['wording']} wording. Pass rate by problem, quantiles: {quantiles}.",
        "",
        "Solutions of one problem that share their first steps word for word:",
        "",
        *shared,
        f"- to compare, {REAL_MODEL}",
        "",
    ]


def main(
    folder: Path = FOLDER,
    wording: Wording = "plain",
    domains: bool = False,
    temperature: float = 1.0,
    problems: int = 40,
    solutions: int = 4,
    recoveries: int = 1000,
) -> None:
    """``domains``: problems of logic, plans, tools and programs; ``problems``: of a family and level; ``recoveries``:
    erroneous solutions to continue from."""
    tool: Literal["calculator"] | None = "calculator" if domains else None
    settings = PolicySettings(temperature=temperature, max_tokens=LONGEST[wording], tool=tool)
    figures = asyncio.run(
        _examined(folder, settings, Size(problems, solutions, recoveries), None if domains else wording)
    )
    figures["temperature"] = temperature
    training = json.loads((folder / "training.json").read_text())
    parameters = (folder / "model.safetensors").stat().st_size // 2
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "README.md").write_text(card(figures, training, parameters))
    print((folder / "README.md").read_text())


async def _examined(folder: Path, settings: PolicySettings, size: Size, wording: Wording | None) -> dict[str, Any]:
    engine = await open_engine(VllmEngineSettings(model=str(folder), threads=1))
    try:
        return await examine(PromptedPolicy(engine, settings), size, wording)
    finally:
        await engine.close()


if __name__ == "__main__":
    typer.run(main)
