"""A finished run of a few labeled problems, committed without an engine or a worker."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes import EqualGrader, KnownPolicy, a_problem, a_solution, solved
from run_files import a_run
from scripted_rows import write_stages

from stepforge.labelers import MathShepherd
from stepforge.pipelines.run.driver import finish
from stepforge.pipelines.run_folder.plan import PLAN_FILE, ShardPlan
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.storage.checksummed import write_checksummed
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import LabeledProblem

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
        rows = [labeled(number) for number in range(shard.start, shard.stop)]
        write_stages(layout, shard.index, rows, run, SHARD_STAGES)
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
