"""Import and export of findings: matched to the run's own solutions, so none applies to a different text."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from stepforge.pipelines.inputs.tables import rows_of
from stepforge.pipelines.review.findings import add_findings, by_solution, finding_on, read_findings
from stepforge.pipelines.review.formats import FORMATS, Format, Said, Task
from stepforge.pipelines.review.queue import ReviewQueue, row_of
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_leaves, read_rows
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import COMPLETIONS, TOKENS, LabeledProblem, LabeledSolution
from stepforge.schemas.review import Origin, StepFinding


class Imported(NamedTuple):
    added: int
    known: int
    """Exact duplicates of existing ones."""
    elsewhere: int
    """Those on solutions or steps that this run does not have."""


def format_of(name: str | None) -> Format:
    """Return a format by its name. Raises BadInput: there is none."""
    if name is None:
        raise BadInput(f"set --format: {', '.join(FORMATS)}")
    if name not in FORMATS:
        raise BadInput(f"--format {name}: no such format; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def import_findings(layout: Layout, file: Path, form: Format, license_name: str = "") -> Imported:
    """Add the findings of a file.

    Raises:
        BadInput: the file cannot be read, or is not of this format; nothing was added.
        RunFailed: a shard is damaged, or the disk fails.
    """
    try:
        said = list(form.read((f"{file}, line {number}", row) for number, row in rows_of(file)))
    except (AttributeError, TypeError, KeyError) as error:
        raise BadInput(f"{file}: cannot be read as {form.name} ({error})") from None
    matched = list(_matched(layout, said, form.name, license_name))
    before = {_words(one) for one in read_findings(layout).all}
    new = [one for one in matched if _words(one) not in before]
    return Imported(add_findings(layout, new), len(matched) - len(new), len(said) - len(matched))


def _words(one: StepFinding) -> tuple[object, ...]:
    return one.problem_id, one.solution_id, one.step, one.finding, one.reviewer, one.origin, one.note


def _matched(layout: Layout, said: Sequence[Said], origin: Origin, license_name: str) -> Iterator[StepFinding]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    by_id: dict[str, list[Said]] = defaultdict(list)
    by_question: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        (by_id[one.problem_id] if one.problem_id else by_question[one.question.strip()]).append(one)
    for row in rows_about(layout, set(by_id), set(by_question), without=(*COMPLETIONS, *TOKENS)):
        for one in (*by_id.get(row.problem.id, ()), *by_question.get(row.problem.question.strip(), ())):
            if solution := _solution(row, one):
                yield _finding(row, solution, one, origin, now, license_name)


def rows_about(
    layout: Layout, ids: AbstractSet[str], questions: AbstractSet[str] = frozenset(), without: Collection[str] = ()
) -> Iterator[LabeledProblem]:
    """Yield the labeled problems with these ids or questions; columns ``without`` come back empty."""
    for path in layout.shards("label") if ids or questions else ():
        table = read_leaves(path, ["problem.id", "problem.question"])["problem"].to_pylist()
        only = {i for i, p in enumerate(table) if p["id"] in ids or p["question"].strip() in questions}
        if only:
            yield from read_rows(path, LabeledProblem, without=without, only=only)


def _solution(row: LabeledProblem, one: Said) -> LabeledSolution | None:
    words = [text.strip() for text in one.steps]
    for solution in row.solutions:
        steps = [step.text.strip() for step in solution.rollout.steps]
        named = solution.rollout.id == one.solution_id if one.solution_id else bool(words)
        if named and steps[: len(words)] == words and (one.step is None or 0 <= one.step < len(steps)):
            return solution
    return None


def _finding(
    row: LabeledProblem, solution: LabeledSolution, one: Said, origin: Origin, now: str, license_name: str
) -> StepFinding:
    more = {**one.more, "note": str(one.more.get("note", ""))[:4000], "at": one.more.get("at") or now}
    more["license"] = one.more.get("license") or license_name
    try:
        return finding_on(row.problem, solution.rollout, one.step, one.finding, origin=origin, **more)
    except ValidationError as error:
        raise BadInput(f"a finding on {row.problem.id} cannot be read ({error.errors()[0]['msg']})") from None


def export_items(layout: Layout, queue: ReviewQueue, file: Path, form: Format) -> int:
    """Write the queue's solutions for another tool, and return how many; gold items look like the others.

    Raises BadInput: the file already exists, or the format is for import only.
    """
    if form.export is None:
        out = ", ".join(name for name, one in FORMATS.items() if one.export)
        raise BadInput(f"--format {form.name}: import only; export one of {out}")
    if file.exists():
        raise BadInput(f"{file}: already exists; move it away or give another --export")
    said = by_solution(read_findings(layout).all)
    tasks = [
        Task(row, row.solutions[item.solution], item.step, said[item.problem_id, item.solution_id])
        for item in queue.items
        if (row := row_of(layout, item))
    ]
    file.write_text(form.export(tasks), encoding="utf-8")
    return len(tasks)
