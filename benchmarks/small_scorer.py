"""Labeled solutions of the plain families for the small reward model, in this process and without Ray.

    python -m benchmarks.small_scorer --seed 8001 --problems 240 --out runs/plain_train
    python -m benchmarks.small_scorer --seed 8002 --problems 180 --out runs/plain_test
    python -m stepforge.pipelines.commands.train_scorer --data runs/plain_train --model embedded --out runs/head
    stepforge score head.toml --on runs/plain_test/cases.jsonl

Problems and sampling are those of ``configs/demo.toml``; labels are by ``change_point`` with rates pooled from the
first 48 problems. Writes the columns of the ``stepwise`` export that training reads, and every solution with the
oracle's first wrong step as ``cases.jsonl``.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import ChangePoint
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.engines import TransformersEngineSettings, open_engine
from stepforge.pipelines.exports import Stepwise
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.stages import label, solve
from stepforge.schemas.labeled import LabeledProblem

LEVELS = {
    "quantities": (1, 2, 3, 4),
    "linear_equation": (3, 4, 5, 6),
    "number_theory": (3, 4, 5, 6),
    "fractions": (2, 3, 4, 5),
    "sequence": (2, 3, 4, 5),
    "polynomials": (2, 3, 4, 5),
}
SOLUTIONS = 4
PILOT = 48


async def labeled(seed: int, problems: int) -> list[LabeledProblem]:
    """Return labeled problems of each family in turn."""
    kinds = {str(part().kind): part for part in ALL_FAMILIES}
    families = [kinds[kind](levels=levels) for kind, levels in LEVELS.items()]
    engine = await open_engine(TransformersEngineSettings(logprobs=True, batch_size=128))
    policy = PromptedPolicy(engine, PolicySettings(max_tokens=240, answer="stated"))
    asked = [families[i % len(families)].item(seed, i // len(families)) for i in range(problems)]
    part = ChangePoint()
    async with PooledGrader() as grader:
        solved = await asyncio.gather(*(solve(p, [], policy, grader, n=SOLUTIONS, seed=seed) for p in asked))
        pilot = await asyncio.gather(*(label(row, [part], policy, grader, seed=seed) for row in solved[:PILOT]))
        part = part.with_rates(part.fitted_rates(pilot))
        rows = await asyncio.gather(*(label(row, [part], policy, grader, seed=seed) for row in solved))
    await engine.close()
    return list(rows)


def write(rows: Sequence[LabeledProblem], out: Path) -> None:
    exported = [one for row in rows for one in Stepwise().rows(row)]
    (out / "stepwise").mkdir(parents=True, exist_ok=True)
    columns = {
        "prompt": [one.prompt for one in exported],
        "completions": [list(one.completions) for one in exported],
        "first_error": [one.first_error for one in exported],
    }
    pq.write_table(pa.table(columns), out / "stepwise" / "train-00000.parquet", write_page_checksum=True)
    with (out / "cases.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            for solution in row.solutions:
                rollout, truth = solution.rollout, oracle_verdict(row.problem, solution.rollout)
                if rollout.outcome == "undetermined" or truth.abstained:
                    continue
                case = {
                    "id": rollout.id,
                    "subset": row.problem.source,
                    "problem": row.problem.question.strip(),
                    "steps": [step.text.strip("\n") for step in rollout.steps],
                    "label": -1 if truth.first_error is None else truth.first_error,
                    "final_answer_correct": rollout.outcome == "correct",
                    "answer": rollout.answer,
                }
                file.write(json.dumps(case) + "\n")
    print(f"{out}: {len(exported)} training rows")


def main(out: Annotated[Path, typer.Option()], seed: int = 8001, problems: int = 240) -> None:
    write(asyncio.run(labeled(seed, problems)), out)


if __name__ == "__main__":
    typer.run(main)
