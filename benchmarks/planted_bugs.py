"""Label quality on programs with a planted bug, whose first wrong statement is known.

    python -m benchmarks.planted_bugs write data/planted_bugs.jsonl
    stepforge run configs/planted_bugs.toml --out runs/planted_bugs
    python -m benchmarks.planted_bugs table runs/planted_bugs

Half of the programs are right; of the others one statement was changed so that tests fail. Labelers do not see that.
Intervals are Wilson's at 95 %.
"""

import asyncio
import json
from pathlib import Path
from typing import Literal

import typer

from benchmarks.domains import of_labeler
from benchmarks.embedded_policy.changed_programs import Planted, planted_bugs
from stepforge.generators.families.programs import Programs
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.reports.records import Report
from stepforge.schemas.problem import Problem
from stepforge.schemas.seeds import rng_of
from stepforge.schemas.verifier import UnitTests

SEED = 7001
"""Not one that a policy is trained on."""
LEVELS = (1, 2, 3, 4)
TRIES = 6
"""Changes of one program that are tested."""


def main(what: Literal["write", "table"], path: Path, count: int = 400) -> None:
    """``count``: programs to write."""
    if what == "table":
        print(table(Report.model_validate_json((path / "report.json").read_text())))
        return
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


def table(report: Report) -> str:
    """Return the figures of a report against the planted bugs, a labeler a row."""
    lines = ["| labeler | first error exact | no error found in right programs | abstained |", "|---|---|---|---|"]
    lines += [f"| `{labeler}` | {' | '.join(of_labeler(figures))} |" for labeler, figures in report.people.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
