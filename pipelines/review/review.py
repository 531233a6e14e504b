"""``stepforge review``: the queue, findings so far, and exchange with other tools."""

from pathlib import Path

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.review.agreement import ReviewFigures, review_figures, review_text
from stepforge.pipelines.review.condensed import condense
from stepforge.pipelines.review.exchange import export_items, format_of, import_findings
from stepforge.pipelines.review.findings import findings_file, read_findings
from stepforge.pipelines.review.queue import ReviewQueue, build_queue, read_queue, save_queue
from stepforge.pipelines.storage.store import AnyPath


def review(
    folder: AnyPath,
    top: int,
    *,
    read: Path | None,
    write: Path | None,
    form: str | None,
    license_name: str,
    again: bool,
    condensing: bool,
) -> tuple[ReviewFigures, str]:
    """Build the queue if there is none, import or export a file; return the state of the review, in figures and text.

    ``again`` builds a new queue, without settled solutions. ``condensing`` asks the run's engine for a text about each
    queued step. Raises BadInput: this is not a run with labels, or the file is wrong.
    """
    run, layout = open_run(folder)
    findings_file(layout)  # rejects a store before anything is done
    if read or write or form:
        format_of(form)
    imported = import_findings(layout, read, format_of(form), license_name) if read else None
    queue = None if again else read_queue(layout)
    if queue is None:
        queue = build_queue(layout, top, findings=read_findings(layout).all)
        save_queue(layout, queue)
    condensed = condense(run, layout, queue) if condensing else None
    exported = export_items(layout, queue, write, format_of(form)) if write else None
    found = read_findings(layout)
    figures = review_figures(found.all, queue)
    lines = [_chosen(queue)]
    if imported is not None:
        known = f"{imported.known} already known, {imported.elsewhere} are on solutions that this run does not have"
        lines.append(f"imported: {imported.added} findings, {known}")
    if condensed is not None:
        lines.append(condensed)
    if exported is not None:
        lines.append(f"exported: {exported} solutions")
    if found.unreadable:
        lines.append(f"{found.unreadable} lines of the findings were cut short or cannot be read; they do not count")
    lines.append(review_text(figures))
    if figures.findings:
        lines.append(f"apply them: stepforge relabel {folder} --rule people")
    if queue.items:
        lines.append(f"continue: stepforge view {folder}, then Review")
    return figures, "\n".join(lines)


def _chosen(queue: ReviewQueue) -> str:
    if not queue.items:
        return f"queue: empty; an answer is likely to change the label of none of {queue.solutions} solutions"
    gold = sum(item.gold is not None for item in queue.items)
    chosen = f"{len(queue.items) - gold} of {queue.solutions} solutions"
    return f"queue: {chosen} whose labels an answer is most likely to change, and {gold} with a known truth"
