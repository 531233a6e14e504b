"""Run files of small runs that have something to do in every stage, and what such runs left in their folders."""

import json
from pathlib import Path
from typing import Any

RUN_FILE = """
seed = {seed}
problems = {problems}
solutions = 3
rows_per_shard = {rows}
test_share = 0.3

[engine]
kind = "scripted"
error_rate = 0.2
recovery_rate = 0.05
latency_ms = {latency}
{engine}

[policy]
answer = "stated"

[workers]
engine = {workers}
cpu = {workers}
gpus_per_engine = 0
shards_in_flight = 2
max_restarts = {restarts}

[[generate]]
kind = "quantities"

[[generate]]
kind = "sequence"

[[vet]]
kind = "duplicates"

[[vet]]
kind = "difficulty"
min_pass_rate = 0.3

[[label]]
kind = "change_point"
pilot = {pilot}
budget = 8

[[label]]
kind = "omega_prm"
k = 3
search_limit = 4

[[label]]
kind = "sequential"
k = 3
ahead = 3

[[curate]]
kind = "decided"

[[export]]
kind = "stepwise"

[[export]]
kind = "step_preference"
"""


KEPT = ("problems", "solved", "vetted", "labeled", "curated", "rejected", "failures", "brought", "datasets")


DEFAULTS = {"seed": 7, "problems": 9, "rows": 3, "pilot": 4, "latency": 0, "workers": 1, "restarts": 3, "engine": ""}


def write_run(folder: Path, **settings: Any) -> Path:
    """Write the run file of a small run that has something to do in every stage; see ``DEFAULTS``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.toml"
    path.write_text(RUN_FILE.format(**DEFAULTS | settings))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every shard, rejection, failure and data file, and of the pooled rates and the plan."""
    files = [path for name in KEPT for path in sorted((folder / name).rglob("*.parquet"))]
    files += [folder / "plan.json", folder / "rates.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def left_behind(folder: Path) -> list[str]:
    """Return what a finished run should not have: journals, and files that were written beside their place."""
    found = [*folder.rglob(".*.tmp"), *folder.rglob("*.frames")]
    return [path.relative_to(folder).as_posix() for path in found]


def row_ids(folder: Path, stage: str = "labeled") -> list[str]:
    """Return the problem ids in a stage's shards, in order."""
    from stepforge.pipelines.storage.shards import read_columns

    paths = sorted((folder / stage).glob("*.parquet"))
    return [row["id"] for path in paths for row in read_columns(path, ["problem"])["problem"]]


def report_of(folder: Path) -> dict[str, Any]:
    """Return a run's figures."""
    figures: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return figures
