"""A finished run of a few labelled problems, committed without an engine or a worker."""

import asyncio
import json
from pathlib import Path

from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved

from labelers import MathShepherd
from pipelines.driver import finish
from pipelines.layout import Layout
from pipelines.ledger import ShardReport
from pipelines.plan import PLAN_FILE, ShardPlan
from pipelines.run_file import RunFile
from pipelines.shards import write_shard
from pipelines.store import write_text
from pipelines.version import content_digest
from schemas.labeled import LabeledProblem

EXPORTS = ("stepwise", "step_preference", "preference")


def small_run(
    folder: Path, *, problems: int = 12, licence: str | None = "mit", exports: tuple[str, ...] = EXPORTS
) -> Layout:
    """Commit a run of ``problems`` problems in shards of four, export it and report it."""
    source = {"kind": "problem_set", "path": "my_problems.jsonl", "licence": licence}
    run = RunFile.model_validate(
        {
            "problems": 0,
            "test_share": 0.25,
            "generate": [source],
            "engine": {"kind": "scripted"},
            "label": [{"kind": "math_shepherd"}],
            "export": [{"kind": kind} for kind in exports],
        }
    )
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(layout.run_file, run.toml())
    plan = [ShardPlan(index=i, source=0, start=4 * i, stop=4 * i + 4) for i in range(-(-problems // 4))]
    write_text(folder / PLAN_FILE, json.dumps([shard.model_dump() for shard in plan]))
    for shard in plan:
        rows = [labelled(number) for number in range(shard.start, min(shard.stop, problems))]
        for stage in ("label", "curate"):
            report = ShardReport(stage=stage, shard=shard.index, rows_in=len(rows), rows_out=len(rows))
            stamp = {"run": content_digest(run), "report": report.model_dump(mode="json")}
            write_shard(layout.shard(stage, shard.index), rows, LabeledProblem, stamp)
    finish(run, layout)
    return layout


def labelled(number: int) -> LabeledProblem:
    """Return a problem with a right and a wrong solution, its first error known."""
    policy = KnownPolicy(lambda prefix: 0.0 if "C" in prefix else 0.9)
    row = solved(
        a_solution(f"good-{number}", "abc", "correct"),
        a_solution(f"bad-{number}", "ABCD", "wrong"),
        problem=a_problem(f"problem-{number}"),
    )
    return asyncio.run(MathShepherd(k=8)(row, policy, EqualGrader(), seed=number))
