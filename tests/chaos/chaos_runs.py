"""Run files of small runs that have something to do in every stage, and what such runs left in their folders."""

import json
from pathlib import Path
from typing import Any

from run_files import write_run_file

GENERATE = [{"kind": "quantities"}, {"kind": "sequence"}]
OTHER_LABELERS = [
    {"kind": "omega_prm", "k": 3, "search_limit": 4},
    {"kind": "sequential", "k": 3},
]
EXPORT = [{"kind": "stepwise"}, {"kind": "step_preference"}]
KEPT = ("problems", "solved", "vetted", "labeled", "curated", "rejected", "failures", "brought", "datasets")


def vetting(min_pass_rate: float = 0.3) -> list[dict[str, Any]]:
    return [{"kind": "duplicates"}, {"kind": "difficulty", "min_pass_rate": min_pass_rate}]


def labelers(first: int = 4, budget: int = 8) -> list[dict[str, Any]]:
    return [{"kind": "change_point", "fit_problems": first, "budget": budget}, *OTHER_LABELERS]


def write_run(
    folder: Path,
    *,
    rows: int = 3,
    fit_problems: int = 4,
    latency: int = 0,
    workers: int = 1,
    restarts: int = 3,
    in_flight: int = 2,
    engine: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write the run file of a small run that has something to do in every stage."""
    settings = {
        "seed": 7,
        "problems": 9,
        "solutions": 3,
        "rows_per_shard": rows,
        "test_share": 0.3,
        "policy": {"answer": "stated"},
        "workers": {
            "engine": workers,
            "cpu": workers,
            "gpus_per_engine": 0,
            "shards_in_flight": in_flight,
            "max_restarts": restarts,
        },
        "generate": GENERATE,
        "vet": vetting(),
        "label": labelers(fit_problems),
        "curate": [{"kind": "decided"}],
        "export": EXPORT,
    }
    scripted = {"error_rate": 0.2, "recovery_rate": 0.05, "latency_ms": latency, **(engine or {})}
    return write_run_file(folder, **settings | changes, engine=scripted)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every shard, rejection, failure and data file, and of the plan and the pooled rates."""
    files = [path for name in KEPT for path in sorted((folder / name).rglob("*.parquet"))]
    files += [folder / "plan.json", *folder.glob("rates.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def left_behind(folder: Path) -> list[str]:
    """Return the leftovers that a finished run should not have: journals, and temporary files."""
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
