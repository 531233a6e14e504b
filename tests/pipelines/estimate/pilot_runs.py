"""Runs to estimate."""

from typing import Any

from run_files import settings

from stepforge.pipelines.settings.run_file import RunFile

SETTINGS: dict[str, Any] = settings(
    seed=3,
    problems=120,
    rows_per_shard=10,
    generate=[{"kind": "sequence"}, {"kind": "quantities", "weight": 2}],
    engine={"error_rate": 0.15},
    policy={"answer": "stated"},
    vet=[{"kind": "duplicates"}, {"kind": "difficulty", "min_pass_rate": 0.6}],
    label=[{"kind": "change_point", "pilot": 20}, {"kind": "omega_prm", "search_limit": 6}],
    curate=[{"kind": "decided"}],
    export=[{"kind": "stepwise"}],
)
RUN = RunFile.model_validate(SETTINGS)
