"""The data set card: what ``load_dataset``, a trainer and a reader need, with the figures that were measured.

YAML through ``DatasetCardData``, never by template; texts from models and files are shown, never interpreted; figures
are SVG files beside the card.
"""

from stepforge.pipelines.reports.card.contents import Contents
from stepforge.pipelines.reports.card.figures import figure_files
from stepforge.pipelines.reports.card.front_matter import front_matter
from stepforge.pipelines.reports.card.sections import body
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.kept import read_curated
from stepforge.pipelines.storage.layout import Layout, shard_index
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import COMPLETIONS

FIGURES = "figures"


def write_card(layout: Layout, run: RunFile, report: Report) -> None:
    """Write ``README.md`` and the figures of the data set repository; curated shards are read one at a time."""
    contents = Contents()
    for path in layout.shards("curate"):
        for row in read_curated(layout, shard_index(path), without=COMPLETIONS):
            contents.add(row)
    figures = figure_files(contents, report)
    for name, (_, svg) in figures.items():
        write_text(layout.datasets / FIGURES / name, svg)
    shown = {f"{FIGURES}/{name}": title for name, (title, _) in figures.items()}
    text = body(run, report, contents, shown)
    write_text(layout.datasets / "README.md", f"---\n{front_matter(run, layout).to_yaml()}\n---\n\n{text}")
