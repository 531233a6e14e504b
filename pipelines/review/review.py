"""``stepforge review``: the queue, what people found so far, and the way in and out for other tools."""

from pathlib import Path
from typing import NamedTuple

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.review.agreement import ReviewFigures, review_figures, review_text
from stepforge.pipelines.review.condensed import condense
from stepforge.pipelines.review.exchange import Imported, export_items, format_of, import_findings
from stepforge.pipelines.review.findings import findings_file, read_findings
from stepforge.pipelines.review.queue import ReviewQueue, build_queue, read_queue, save_queue
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput


class Exchange(NamedTuple):
    """A file to take in or to write."""

    read: Path | None = None
    write: Path | None = None
    format: str | None = None
    license: str = ""


class Reviewed(NamedTuple):
    """What the command did."""

    folder: AnyPath
    queue: ReviewQueue
    figures: ReviewFigures
    unreadable: int
    imported: Imported | None
    exported: int | None
    condensed: str | None
    """What came of asking a model, in a line."""


def review(folder: AnyPath, top: int, exchange: Exchange, *, again: bool = False, condensing: bool = False) -> Reviewed:
    """Build the queue if there is none, take in or write a file, and return where the review stands.

    ``again`` builds a new queue: solutions that people settled are not in it any more. ``condensing`` asks the run's
    engine to write of the queued steps what a reviewer should know.

    Raises:
        BadInput: this is no run with labels, or the file is wrong.
    """
    run, layout = open_run(folder)
    findings_file(layout)  # refuses a store before anything is done
    if (exchange.read or exchange.write) and not exchange.format:
        raise BadInput("give --format: label_studio, argilla, prm800k or usage")
    if exchange.format:
        format_of(exchange.format)
    imported = None
    if exchange.read:
        imported = import_findings(layout, exchange.read, exchange.format or "", exchange.license)
    queue = None if again else read_queue(layout)
    if queue is None:
        queue = build_queue(layout, top, findings=read_findings(layout).all)
        save_queue(layout, queue)
    condensed = condense(run, layout, queue) if condensing else None
    exported = export_items(layout, queue, exchange.write, exchange.format or "") if exchange.write else None
    found = read_findings(layout)
    return Reviewed(folder, queue, review_figures(found.all, queue), found.unreadable, imported, exported, condensed)


def reviewed_text(done: Reviewed) -> str:
    """Return it as text."""
    queue = done.queue
    lines = [f"queue: empty; an answer is likely to change the label of none of {queue.solutions} solutions"]
    if queue.items:
        lines = [
            f"queue: {len(queue.items)} of {queue.solutions} solutions, the ones whose labels an answer is likeliest "
            "to change"
        ]
    if done.imported is not None:
        lines.append(
            f"imported: {done.imported.added} findings, {done.imported.known} were known, "
            f"{done.imported.elsewhere} are on solutions that this run does not have"
        )
    if done.condensed is not None:
        lines.append(done.condensed)
    if done.exported is not None:
        lines.append(f"exported: {done.exported} solutions")
    if done.unreadable:
        lines.append(f"{done.unreadable} lines of the findings were cut short or cannot be read; they do not count")
    lines.append(review_text(done.figures))
    if done.figures.findings:
        lines.append(f"apply them: stepforge relabel {done.folder} --rule people")
    further = [f"go on: stepforge view {done.folder}, then Review"] if queue.items else []
    return "\n".join([*lines, *further])
