"""Label quality on programs with a planted bug, whose first wrong statement is known.

    python -m benchmarks.planted_bugs data/planted_bugs.jsonl
    stepforge run configs/planted_bugs.toml --out runs/planted_bugs
    python -m benchmarks.domains runs/planted_bugs

Half of the programs are right; of the others one statement was changed so that tests fail. Labelers do not see that.
"""

import asyncio
import json
from pathlib import Path

import typer

from benchmarks.embedded_policy.changed_programs import Planted, planted_bugs
from stepforge.generators.families.programs import Programs
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.problem import Problem
from stepforge.schemas.seeds import rng_of
from stepforge.schemas.verifier import UnitTests

SEED = 7001
"""Not one that a policy is trained on."""
LEVELS = (1, 2, 3, 4)
TRIES = 6
"""Changes of one program that are tested."""


def main(path: Path, count: int = 400) -> None:
    """``count``: programs to write."""
    rows = asyncio.run(programs(count))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    print(f"{path}: {len(rows)} programs, {sum(row['first_error'] != -1 for row in rows)} with a bug")


async def programs(count: int) -> list[dict[str, object]]:
    """Return rows of a problem set: every second program is right, the others have a bug that a test notices."""
    problems = {p.question: p for p in (Programs(levels=LEVELS).item(SEED, i) for i in range(2 * count))}
    chosen = list(problems.values())[:count]
    async with PooledGrader(processes=2) as grader:
        bugs = await asyncio.gather(*(_bug(problem, grader) for problem in chosen[1::2]))
    right = [_row(problem, problem.known_solution or "", -1) for problem in chosen[::2]]
    return right + [_row(p, bug.text, bug.at) for p, bug in zip(chosen[1::2], bugs, strict=True) if bug is not None]


async def _bug(problem: Problem, grader: PooledGrader) -> Planted | None:
    found = planted_bugs(problem.known_solution or "", rng_of(SEED, "bug", problem.id))
    for bug, _ in zip(found, range(TRIES), strict=False):
        if await grader.grade(problem, [bug.text]) == ["wrong"]:
            return bug
    return None


def _row(problem: Problem, solution: str, first_error: int) -> dict[str, object]:
    tests = problem.verifier
    assert isinstance(tests, UnitTests)
    kept = {"id": problem.id, "question": problem.question, "level": problem.difficulty, "domain": problem.domain}
    asked = {"tests": tests.tests, "entry_point": tests.entry_point}
    return {**kept, **asked, "solution": solution, "first_error": first_error}


if __name__ == "__main__":
    typer.run(main)
