"""Run files: a small run on the scripted engine, and what a test changes in it."""

from pathlib import Path
from typing import Any

from stepforge.pipelines.settings.run_file import RunFile

SETTINGS: dict[str, Any] = {
    "problems": 20,
    "solutions": 4,
    "rows_per_shard": 5,
    "generate": [{"kind": "quantities"}],
    "engine": {"kind": "scripted"},
    "label": [{"kind": "omega_prm", "search_limit": 6}],
}


def settings(*, engine: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """``engine`` is what is set beside the kind of the scripted one; all else replaces what stands here."""
    return {**SETTINGS, "engine": {"kind": "scripted", **(engine or {})}, **changes}


def a_run(**changes: Any) -> RunFile:
    return RunFile.model_validate(settings(**changes))


def write_run_file(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.toml"
    path.write_text(a_run(**changes).toml())
    return path
