"""Where the data comes from."""

from typing import Any

import tomli_w

from stepforge.pipelines.exports.contract import name_only
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.settings.run_file import RunFile

PRIVATE = ("path", "address", "api_key_variable", "workers")
"""Settings about the machine, not the data."""


def identity_rows(report: Report) -> list[tuple[object, ...]]:
    policy = report.policy.identity.model_dump() if report.policy.identity else {}
    policy["model"] = name_only(policy.get("model", "-"))
    wanted = ("model", "digest", "engine", "engine_version", "temperature", "top_p", "max_tokens")
    rows: list[tuple[object, ...]] = [(name.replace("_", " "), policy.get(name, "-")) for name in wanted]
    return [
        *rows,
        *([("policies", ", ".join(map(name_only, report.policy.several)))] if report.policy.several else []),
        ("stepforge", report.run.version),
        ("settings' digest", report.run.digest),
        ("seed", report.run.seed),
    ]


def settings_text(run: RunFile) -> str:
    """Return the run file without machine-specific settings: folders, addresses, names of variables."""
    return tomli_w.dumps(_public(run.model_dump(mode="json")))


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item is not None and key not in PRIVATE}
        return {
            key: name_only(item) if key == "model" and isinstance(item, str) else _public(item)
            for key, item in kept.items()
        }
    return [_public(item) for item in value] if isinstance(value, list) else value
