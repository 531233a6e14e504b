"""The data set card: what ``load_dataset``, a trainer and a reader need, with the figures that were measured.

YAML through ``DatasetCardData``, never by template; texts from models and files are shown, never interpreted; figures
are SVG files beside the card.
"""

from typing import Any

from pipelines.card.contents import Contents
from pipelines.card.figures import figure_files
from pipelines.card.front_matter import front_matter
from pipelines.card.sections import body
from pipelines.layout import Layout
from pipelines.run_file import RunFile
from pipelines.shards import read_rows
from pipelines.store import write_text
from schemas.labeled import COMPLETIONS, LabeledProblem

FIGURES = "figures"


def write_card(layout: Layout, run: RunFile, report: dict[str, Any]) -> None:
    """Write ``README.md`` and the figures of the data set repository; curated shards are read one at a time."""
    contents = Contents()
    for path in layout.shards("curate"):
        for row in read_rows(path, LabeledProblem, without=COMPLETIONS):
            contents.add(row)
    figures = figure_files(contents, report)
    for name, (_, svg) in figures.items():
        write_text(layout.datasets / FIGURES / name, svg)
    shown = {f"{FIGURES}/{name}": title for name, (title, _) in figures.items()}
    text = body(run, report, contents, shown)
    write_text(layout.datasets / "README.md", f"---\n{front_matter(run, layout).to_yaml()}\n---\n\n{text}")
