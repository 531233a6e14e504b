"""Write the generated pages of docs/reference: ``python -m benchmarks.reference``."""

from collections.abc import Iterator
from pathlib import Path

from stepforge.pipelines.commands.settings import parts, settings_of, summary
from stepforge.pipelines.settings.faults import records_in
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Failure, LabeledProblem, Rejected
from stepforge.schemas.record import Record

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
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


PAGES = {"settings.md": reference, "records.md": stored_reference}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
