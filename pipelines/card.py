"""The data set card: what ``load_dataset`` and a reader need. YAML through ``DatasetCardData``, never by template."""

from typing import Any

from pipelines.report_text import audit_rows, figure
from pipelines.run_file import RunFile
from pipelines.store import AnyPath, write_text


def write_card(folder: AnyPath, run: RunFile, report: dict[str, Any]) -> None:
    """Write ``README.md`` of the data set repository, with the figures of the run's report."""
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        pretty_name="Process supervision by stepforge",
        tags=["synthetic", "process-reward-model", "prm", "reasoning"],
        annotations_creators=["machine-generated"],
        configs=[_config(export.name, first=i == 0) for i, export in enumerate(run.export)],
    )
    write_text(folder / "README.md", f"---\n{data.to_yaml()}\n---\n\n{_body(run, report)}")


def _config(name: str, *, first: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "config_name": name,
        "data_files": [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in ("train", "test")],
    }
    return {**config, "default": True} if first else config


def _body(run: RunFile, report: dict[str, Any]) -> str:
    summary = report["exports"]
    rows = "\n".join(f"| {n} | {s['kind']} | {s['rows']['train']} | {s['rows']['test']} |" for n, s in summary.items())
    sources = ", ".join(sorted({part.kind for part in run.generate}))
    standing, *others = (part.name for part in run.label)
    beside = f" Verdicts of {', '.join(others)} were taken beside it." if others else ""
    return (
        "# Process supervision data\n\n"
        f"Problems from {sources}; solutions labelled step by step by `{standing}`.{beside}\n\n"
        "| data set | kind | train rows | test rows |\n|---|---|---|---|\n"
        f"{rows}\n\n"
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/of/this/folder", "{next(iter(summary))}", split="train")\n```\n\n'
        f"{_noise(report)}"
    )


def _noise(report: dict[str, Any]) -> str:
    """The label noise card: how often the labels are wrong, where that can be known."""
    head = "## Label noise\n\n"
    if not report["audit"]:
        return f"{head}Not measured: none of the problems has a known truth for every step.\n"
    columns = ("slice", "solutions", "abstained", "labelled exactly", "steps labelled right: of these wrong")
    titles = (*columns, "steps labelled wrong: of these right")
    lines = [titles, tuple("---" for _ in titles), *audit_rows(report["audit"])]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    rates = "\n".join(
        f"| {name} | {figure(f['first_error_accuracy'])} | {figure(f['correct_solution_accuracy'])} | "
        f"{figure(f['processbench_f1'])} | {figure(f['generated_tokens_per_correct_first_error'])} |"
        for name, f in report["labelers"].items()
        if name != "oracle"
    )
    return (
        f"{head}Measured on this run's own procedural problems, whose every step has a known truth: the labels\n"
        "that the curated rows carry, step by step, with 95 % intervals.\n\n"
        f"{table}\n\n"
        "By labeler, before curation: first errors of solutions with a wrong answer named exactly, right\n"
        "solutions left clean, their harmonic mean, and generated tokens for each exact first error.\n\n"
        "| labeler | first error | clean | F1 | tokens |\n|---|---|---|---|---|\n"
        f"{rates}\n"
    )
