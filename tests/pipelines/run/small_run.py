"""A finished run of a few labeled problems, committed without an engine or a worker."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved
from run_files import a_run

from stepforge.labelers import MathShepherd
from stepforge.labelers.evidence.replay import solved_part
from stepforge.pipelines.run.driver import finish
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.run_folder.plan import PLAN_FILE, ShardPlan
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.storage.checksummed import write_checksummed
from stepforge.pipelines.storage.kept import Kept, kept_rows
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import shard_metadata, write_shard
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

EXPORTS = ("stepwise", "step_preference", "preference")


def small_run(
    folder: Path,
    *,
    problems: int = 12,
    license: str | None = "mit",
    exports: Sequence[str | dict[str, object]] = EXPORTS,
) -> Layout:
    """Commit a run of ``problems`` problems in shards of four, export it and report it."""
    source = {"kind": "problem_set", "path": "my_problems.jsonl", "license": license}
    run = a_run(
        problems=0,
        test_share=0.25,
        generate=[source],
        label=[{"kind": "math_shepherd"}],
        export=[{"kind": export} if isinstance(export, str) else export for export in exports],
    )
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(layout.run_file, run.toml())
    plan = [ShardPlan(index=i, source=0, start=4 * i, stop=min(4 * i + 4, problems)) for i in range(-(-problems // 4))]
    write_checksummed(
        folder / PLAN_FILE, {"run": content_digest(run), "shards": [shard.model_dump() for shard in plan]}
    )
    for shard in plan:
        rows = [labeled(number) for number in range(shard.start, min(shard.stop, problems))]
        problems_in, solved_in = [row.problem for row in rows], [solved_part(row) for row in rows]
        held: dict[ShardStage, tuple[Sequence[Record], type[Record]]] = {
            "generate": (problems_in, Problem),
            "solve": (solved_in, SolvedProblem),
            "vet": (kept_rows(solved_in, solved_in), Kept),
            "label": (rows, LabeledProblem),
            "curate": (kept_rows(rows, rows), Kept),
        }
        source = ""
        for stage, (records, record) in held.items():
            report = ShardReport(stage=stage, shard=shard.index, rows_in=len(rows), rows_out=len(rows))
            stamp = {"run": content_digest(run), "stage": stage, "shard": shard.index, "source": source}
            stamp["report"] = report.model_dump(mode="json")
            write_shard(layout.shard(stage, shard.index), records, record, stamp)
            source = shard_metadata(layout.shard(stage, shard.index))["digest"]
    finish(run, layout)
    return layout


def labeled(number: int) -> LabeledProblem:
    """Return a problem with a right and a wrong solution, its first error known."""
    policy = KnownPolicy(lambda prefix: 0.0 if "C" in prefix else 0.9)
    row = solved(
        a_solution(f"good-{number}", "abc", "correct"),
        a_solution(f"bad-{number}", "ABCD", "wrong"),
        problem=a_problem(f"problem-{number}"),
    )
    return asyncio.run(MathShepherd(k=8)(row, policy, EqualGrader(), seed=number))
