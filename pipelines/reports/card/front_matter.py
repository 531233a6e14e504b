"""What the card says of the run: its YAML, which the Hub and ``load_dataset`` read, and where the data comes from."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tomli_w

from stepforge.pipelines.datasets.columns import source_of
from stepforge.pipelines.datasets.writer import rows_by_split
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.exports.contract import name_only
from stepforge.pipelines.reports.card.contents import SESSIONS
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.settings.run_file import RunFile, problem_sets
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.rollout import SUPPLIED

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}")
"""What the Hub's license identifiers look like; anything else is named in the card's text only."""
TAGS = (
    "synthetic process-reward-model prm process-supervision reward-model verifier reasoning chain-of-thought stepforge"
).split()
"""Of every card; the exports add their own."""
TAGS_OF = {"rl_prompts": "rlvr", "preference": "dpo", "step_preference": "dpo", "kto": "kto", "step_advantages": "rl"}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
PRIVATE = ("path", "address", "api_key_variable", "workers")
"""Settings about the machine, not the data."""


def front_matter(run: RunFile, layout: Layout) -> "DatasetCardData":
    """Return the card's data. Features and sizes of splits are not in it: ``datasets`` reads them from the files."""
    from huggingface_hub import DatasetCardData

    filled = [export.name for export in exports_with_rows(run, layout)]
    if filled and any(rows_by_split(layout, SESSIONS).values()):
        filled.append(SESSIONS)
    total = sum(sum(rows_by_split(layout, name).values()) for name in filled)
    licenses, sets = licenses_of(run), problem_sets(run)
    return DatasetCardData(
        pretty_name="Process supervision by stepforge",
        license=licenses[0] if len(licenses) == 1 and LICENSE.fullmatch(licenses[0]) else "other",
        language=None if sets else ["en"],
        task_categories=sorted({getattr(part, "task", "text-generation") for part in run.export}, reverse=True),
        size_categories=[next((name for most, name in SIZES if total < most), "10M<n<100M")],
        annotations_creators=["machine-generated"],
        source_datasets=[f"extended|{part.hub}" for part in sets if part.hub] or ["original"],
        tags=tags_of(run),
        configs=[_config(name, layout, first=i == 0) for i, name in enumerate(filled)] or None,
    )


def licenses_of(run: RunFile) -> list[str]:
    """Return the licenses of the run's sources, each once; ``unknown`` for a problem set that tells none."""
    return sorted({source_of(part).license for part in run.generate})


def tags_of(run: RunFile) -> list[str]:
    return [*TAGS, *sorted({TAGS_OF[export.kind] for export in run.export if export.kind in TAGS_OF})]


def exports_with_rows(run: RunFile, layout: Layout) -> list[AnyExport]:
    """Return the exports that hold anything: ``load_dataset`` fails for all where one has no file."""
    return [export for export in run.export if any(rows_by_split(layout, export.name).values())]


def _config(name: str, layout: Layout, *, first: bool) -> Mapping[str, object]:
    splits = [split for split, rows in rows_by_split(layout, name).items() if rows]
    files = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in splits]
    return {"config_name": name, "data_files": files, **({"default": True} if first else {})}


def identity_rows(report: Report) -> list[tuple[object, ...]]:
    policy = report.policy.identity.model_dump() if report.policy.identity else {}
    model = policy.get("model", "-")
    policy["model"] = "none: the solutions were supplied" if model == SUPPLIED else name_only(model)
    wanted = ("model", "digest", "engine", "engine_version", "temperature", "top_p", "max_tokens")
    rows: list[tuple[object, ...]] = [(name.replace("_", " "), str(policy.get(name, "-"))) for name in wanted]
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
