"""How to train on each export: one Markdown file per kind in ``training/``; its first line says what the export is.

The consumer tests run their Python verbatim, except for the two paths.
"""

from pathlib import Path
from typing import NamedTuple

from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.exports.chat import Chat
from stepforge.schemas.own_part import import_path

FOLDER = Path(__file__).parent / "training"
NAME = "EXPORT"
"""Placeholder in the files for the export's own name."""

_CHAT = """The rows hold messages in the columns that `{layout}` reads, and no chat template: apply the model's own.

```python
from datasets import load_dataset

rows = load_dataset("path/of/this/folder", "{name}", split="train")
```"""


class TrainingNote(NamedTuple):
    about: str
    text: str


def training_note(export: AnyExport) -> TrainingNote:
    """Return the note of an export, with its name filled in; a user's own export has none to show."""
    if import_path(export):
        return TrainingNote(f"the user's own format, `{import_path(export)}`", "")
    about, _, text = (FOLDER / f"{export.kind}.md").read_text(encoding="utf-8").partition("\n")
    if isinstance(export, Chat) and export.chat:
        return TrainingNote(f"{about.strip()}; as conversations", _CHAT.format(layout=export.layout, name=export.name))
    return TrainingNote(about.strip(), text.replace(f'"{NAME}"', f'"{export.name}"').strip())
