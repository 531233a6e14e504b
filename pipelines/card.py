"""The data set card: what ``load_dataset`` and a reader need. YAML through ``DatasetCardData``, never by template."""

from pathlib import Path
from typing import Any

from pipelines.run_file import RunFile
from pipelines.shards import write_text


def write_card(folder: Path, run: RunFile, summary: dict[str, Any]) -> None:
    """Write ``README.md`` of the data set repository."""
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        pretty_name="Process supervision by stepforge",
        tags=["synthetic", "process-reward-model", "prm", "reasoning"],
        annotations_creators=["machine-generated"],
        configs=[_config(export.name, first=i == 0) for i, export in enumerate(run.export)],
    )
    write_text(folder / "README.md", f"---\n{data.to_yaml()}\n---\n\n{_body(run, summary)}")


def _config(name: str, *, first: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "config_name": name,
        "data_files": [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in ("train", "test")],
    }
    return {**config, "default": True} if first else config


def _body(run: RunFile, summary: dict[str, Any]) -> str:
    rows = "\n".join(f"| {n} | {s['kind']} | {s['rows']['train']} | {s['rows']['test']} |" for n, s in summary.items())
    sources = ", ".join(sorted({part.kind for part in run.generate}))
    labelers = ", ".join(part.name for part in run.label)
    return (
        "# Process supervision data\n\n"
        f"Problems from {sources}; solutions labelled step by step by {labelers}. The measured label error rates are\n"
        "in `report.json` of the run that made these files.\n\n"
        "| data set | kind | train rows | test rows |\n|---|---|---|---|\n"
        f"{rows}\n\n"
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/of/this/folder", "{next(iter(summary))}", split="train")\n```\n'
    )
