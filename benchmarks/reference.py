"""Write the generated pages of docs/reference: ``python -m benchmarks.reference``."""

from pathlib import Path

from stepforge.pipelines.commands.settings import reference, stored_reference

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
PAGES = {"settings.md": reference, "records.md": stored_reference}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
