"""Do policies get better by training on the data? Needs TRL in an environment of its own (`make consumers`).

    python -m benchmarks.usefulness .consumers/trl/bin/python

All that is drawn and trained is kept in the folder, so the same command resumes where it was stopped.
"""

import asyncio
import json
import sys
from pathlib import Path

import torch
import typer

from benchmarks.usefulness.policy_bench import PolicyBench, PolicyRow, check_trainer
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.errors import BadInput, RunFailed

HERE = Path(__file__).parent


def main(
    trl_python: Path, folder: Path = Path("runs/usefulness"), out: Path = HERE.parent / "results" / "usefulness.json"
) -> None:
    torch.set_num_threads(1)
    try:
        check_trainer(trl_python)
        bench = PolicyBench(folder, trl_python)
        rows = asyncio.run(_run(bench))
    except (BadInput, RunFailed) as error:
        print(f"usefulness: {' '.join(str(error).split())}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, BadInput) else 1) from None
    out.write_text("[\n" + ",\n".join(json.dumps(row.model_dump()) for row in rows) + "\n]\n", encoding="utf-8")
    for r in rows:
        shown = " | ".join(f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in (r.pass_at_1, r.gain))
        print(f"| {r.policy} | {r.training_rows} | {r.pool} | {r.decoding} | {shown} |")


async def _run(bench: PolicyBench) -> list[PolicyRow]:
    async with PooledGrader() as grader:
        return await bench.run(grader)


if __name__ == "__main__":
    typer.run(main)
