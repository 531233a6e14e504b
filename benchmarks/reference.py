"""Write the generated pages of docs/: ``python -m benchmarks.reference``."""

import json
from collections.abc import Iterator
from pathlib import Path

from stepforge.pipelines.bench.page import bench_page, side_by_side
from stepforge.pipelines.commands.settings import parts, settings_of, summary
from stepforge.pipelines.settings.faults import records_in
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Failure, LabeledProblem, Rejected
from stepforge.schemas.record import Record

FOLDER = Path(__file__).parents[1] / "docs"
RESULTS = Path(__file__).parent / "results"
BENCHES = {
    "labelers.json": "The laboratory, free wording",
    "labelers_plain.json": "The laboratory, plain wording",
    "labelers_processbench.json": "ProcessBench (GSM8K), the first recording",
    "labelers_processbench_second.json": "ProcessBench (GSM8K and MATH), the second recording",
    "labelers_mr_gsm8k.json": "MR-GSM8K, the third to fifth recording together",
}
"""Committed results of the labeler bench, and their headings."""
STORED: tuple[type[Record], ...] = (LabeledProblem, Rejected, Failure)
"""The roots of what a run folder stores."""


def reference() -> str:
    lines = ["# Settings", "", "Made by `python -m benchmarks.reference`; a test compares it with the code.", ""]
    lines += _markdown("The run file", RunFile)
    for place, kinds in parts().items():
        for kind, record in kinds.items():
            lines += _markdown(f"`{place}`" if kind == place else f"`{place}`: `{kind}`", record)
    return "\n".join(lines).rstrip() + "\n"


def stored_reference() -> str:
    lines = ["# Records", "", "What the Parquet files of a run folder hold, nested as shown.", ""]
    lines += ["Made by `python -m benchmarks.reference`; a test compares it with the code.", ""]
    for record in _reachable(STORED):
        lines += _markdown(f"`{record.__name__}`", record)
    return "\n".join(lines).rstrip() + "\n"


def bench_results() -> str:
    lines = ["# Labelers: all figures", "", "Made by `python -m benchmarks.reference` from the results of"]
    lines += ["`stepforge bench labelers` in benchmarks/results; a test compares it with them. What the rows are, and"]
    lines += ["what follows: [labelers](../labelers.md) and [with a real model](../real_model.md).", ""]
    results = {name: json.loads((RESULTS / name).read_text(encoding="utf-8")) for name in BENCHES}
    people = {BENCHES[name]: result for name, result in results.items() if result["primary"]["wording"] == "prose"}
    lines += [
        "## People's labels, side by side",
        "",
        "First errors named exactly (95 %), and generated tokens for each",
    ]
    lines += ["solution.", "", side_by_side(people), ""]
    for name, title in BENCHES.items():
        lines += [f"## {title}", "", f"[{name}](../../benchmarks/results/{name})", "", bench_page(results[name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _reachable(roots: tuple[type[Record], ...]) -> list[type[Record]]:
    found: dict[type[Record], None] = {}
    pending = list(roots)
    while pending:
        record = pending.pop(0)
        if record not in found:
            found[record] = None
            pending += [r for field in record.model_fields.values() for r in records_in(field.annotation)]
    return list(found)


def _markdown(title: str, record: type[Record]) -> Iterator[str]:
    yield from (f"## {title}", "", summary(record), "", "| name | type | default | meaning |", "|---|---|---|---|")
    for setting in settings_of(record):
        default = f"`{setting.default}`" if setting.default else ""
        cells = (f"`{setting.name}`", f"`{setting.type}`", default, setting.meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


PAGES = {
    "reference/settings.md": reference,
    "reference/records.md": stored_reference,
    "results/labelers.md": bench_results,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
