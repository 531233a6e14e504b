"""Where the data comes from."""

from typing import Any

import tomli_w

from stepforge.generators.families.templates import Templates
from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.written import ModelSource
from stepforge.pipelines.datasets.columns import license_of
from stepforge.pipelines.exports.rows import name_only
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.settings.run_file import RunFile

PRIVATE = ("path", "address", "api_key_variable", "workers")
"""Settings about the machine, not the data."""


def identity_rows(report: Report) -> list[tuple[object, ...]]:
    """Policy, engine, code and settings."""
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


def source_rows(run: RunFile) -> list[tuple[object, ...]]:
    """The problems' sources with their licenses."""
    rows: list[tuple[object, ...]] = []
    for part in run.generate:
        if isinstance(part, ProblemSet):
            where = f"{part.hub}, revision {part.revision or 'not pinned'}" if part.hub else "a file"
            rows.append((part.label, where, license_of(part)))
        elif isinstance(part, ModelSource):
            seeds = part.seeds
            named = seeds.label if isinstance(seeds, ProblemSet | Templates) else seeds.kind
            rows.append(
                (part.label, f"{part.kind}: by a model from seeds of {named}", f"of the seeds: {license_of(part)}")
            )
        elif isinstance(part, Templates):
            rows.append((part.label, "drawn from a folder of templates", license_of(part)))
        else:
            rows.append((part.kind, "procedural, written by stepforge", license_of(part)))
    return rows


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
