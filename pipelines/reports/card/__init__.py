"""The data set card: what ``load_dataset``, a trainer and a reader need, with the figures that were measured.

YAML through ``DatasetCardData``, never by template; texts from models and files are shown, never interpreted; figures
are SVG files next to the card, as are the files for Croissant, LLaMA-Factory and the Hub's trace viewer. What people
wrote into the card is kept.
"""

import json
from collections.abc import Mapping
from contextlib import suppress

from stepforge.pipelines.datasets.stamp import (
    FileStamp,
    card_stamp_file,
    read_stamp,
    stamp_file,
    stamp_of_bytes,
    stamp_of_text,
    write_stamp,
)
from stepforge.pipelines.reports.card.contents import (
    SESSION_ROWS,
    SESSIONS,
    VALUE_BINS,
    Contents,
    SessionRow,
    session_row,
)
from stepforge.pipelines.reports.card.front_matter import front_matter
from stepforge.pipelines.reports.card.index_files import CROISSANT, DATASET_INFO, croissant, dataset_info
from stepforge.pipelines.reports.card.peoples_section import Card, digest_of, read_card
from stepforge.pipelines.reports.card.sections import body
from stepforge.pipelines.reports.charts import bars, count_bars, share_bars
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.settings.digest import digest_of as digest_of_mapping
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.shards import write_shard
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.pipelines.terminal.output import say

FIGURES = "figures"
STEPS_SHOWN = 20
CARD = "README.md"
CARD_BYTES = 8 << 20


def write_card(layout: Layout, run: RunFile, report: Report, contents: Contents) -> None:
    figures = _figures(contents, report)
    stamp = _written(layout, FIGURES, {name: svg for name, (_, svg) in figures.items()})
    stamp |= _sessions(layout, contents)
    described = {CROISSANT: croissant(run, layout, report, contents), DATASET_INFO: dataset_info(run, layout)}
    for name, value in described.items():
        text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
        stamp[name] = stamp_of_text(text)
        write_text(layout.datasets / name, text)
    shown = {f"{FIGURES}/{name}": title for name, (title, _) in figures.items()}
    card = Card(card_head(run, layout) + body(run, report, contents, shown) + "\n", _kept(layout))
    write_text(layout.datasets / CARD, card.text)
    made = {export.name: read_stamp(stamp_file(layout, export.name)) for export in run.export}
    data = {f"{name}/{file}": s for name, one in made.items() if one for file, s in one.files.items()}
    write_stamp(card_stamp_file(layout), {CARD: stamp_of_text(card.rest), **stamp}, described_files(data))


def described_files(files: Mapping[str, FileStamp]) -> str:
    """Return a digest of the data files that a card describes: a card of earlier ones is not published."""
    return digest_of_mapping({name: file.sha256 for name, file in files.items()})


def _written(layout: Layout, folder: str, texts: Mapping[str, str]) -> dict[str, FileStamp]:
    """Write the files of a folder next to the card, and delete those of an earlier card."""
    there: list[AnyPath] = list((layout.datasets / folder).glob("*"))
    for path in there:
        if path.name not in texts and path.name.endswith((".svg", ".jsonl")):
            path.unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(layout.datasets / folder / name, text)
    return {f"{folder}/{name}": stamp_of_text(text) for name, text in texts.items()}


def _sessions(layout: Layout, contents: Contents) -> dict[str, FileStamp]:
    rows = [session_row(example) for example in contents.examples]
    stamps = _written(layout, SESSIONS, {f"{number:05d}.jsonl": row.trace for number, row in enumerate(rows)})
    path = layout.datasets / SESSIONS / SESSION_ROWS
    if not rows:
        path.unlink(missing_ok=True)
        return stamps
    write_shard(path, rows, SessionRow, {})
    return {**stamps, f"{SESSIONS}/{SESSION_ROWS}": stamp_of_bytes(path.read_bytes())}


def card_head(run: RunFile, layout: Layout) -> str:
    """The YAML at the top of a card, derived from the settings and the names of the data files alone."""
    return f"---\n{front_matter(run, layout).to_yaml()}\n---\n\n"


def _kept(layout: Layout) -> str:
    """Text that people added to the card. A card changed outside that section is saved whole under another name."""
    with suppress(FileNotFoundError):
        text = read_small(layout.datasets / CARD, CARD_BYTES).decode(errors="replace")
        card = read_card(text)
        if card is None or not card.intact:
            aside = layout.folder / f"README.edited-{digest_of(text)[:8]}.md"
            write_text(aside, text)
            say(f"stepforge: the card was changed outside its kept section; that text is kept in {aside}", err=True)
        return card.kept if card else ""
    return ""


def _figures(contents: Contents, report: Report) -> dict[str, tuple[str, str]]:
    """Return file name -> (title, SVG); a figure without data is left out."""
    errors, values = contents.first_errors, contents.values
    places = [(f"step {i + 1}", errors[i]) for i in range(min(max(errors, default=-1) + 1, STEPS_SHOWN))]
    if later := sum(count for i, count in errors.items() if i >= STEPS_SHOWN):
        places.append((f"later than {STEPS_SHOWN}", later))
    tenths = [(f"{i / VALUE_BINS:g} to {(i + 1) / VALUE_BINS:g}", values[i]) for i in range(VALUE_BINS)]
    noise = [(name, of.of_these_wrong) for name, of in report.audit.items() if not name.startswith("source: ")]
    found = {
        "first_errors.svg": ("First wrong step, solutions", count_bars(places)),
        "values.svg": (
            "Value of a step: how often the policy reaches the right answer from there, steps",
            count_bars(tenths if values else ()),
        ),
        "label_noise.svg": ("Steps labeled right that are wrong, with 95 % intervals", share_bars(noise, digits=2)),
    }
    return {name: (title, bars(title, data)) for name, (title, data) in found.items() if data}
