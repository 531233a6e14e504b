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
from jinja2 import Template

from benchmarks.embedded_policy.corpus import domain_families
from benchmarks.embedded_policy.siblings import REAL_MODEL, right_and_any
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Wording
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.grading.outcomes import graded
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.engines import VllmEngineSettings
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


def card(figures: dict[str, Any], training: dict[str, Any], parameters: int) -> str:
    """Return the model card: ``card.md`` filled in."""
    template = Template((Path(__file__).parent / "card.md").read_text(), trim_blocks=True, keep_trailing_newline=True)
    levels = sorted({level for cells in figures["pass_rate"].values() for level in cells})
    phases = list(map(_phase, training["phases"]))
    about = {"training": training, "parameters": parameters, "phases": phases, "real_model": REAL_MODEL}
    return str(template.render(**figures, **about, levels=levels))


def _phase(phase: dict[str, Any]) -> str:
    repaired, free = phase.get("repair_share", phase.get("repair")), phase.get("free")
    free_too = f" (free wording {free:.0%} of examples)" if free else ""
    return f"{repaired:.0%} from minute {phase['minute']:.0f}{free_too}"


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
    engine = await VllmEngineSettings(model=str(folder), threads=1).open()
    try:
        return await examine(PromptedPolicy(engine, settings), size, wording)
    finally:
        await engine.close()


if __name__ == "__main__":
    typer.run(main)
