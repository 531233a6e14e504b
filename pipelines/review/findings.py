"""People's findings, kept in ``DIR/review/findings.jsonl``: append-only, each line durable before it is confirmed to
the reviewer. A line cut short by a crash was never confirmed; it stays and is counted. Other files of that folder work
the same way."""

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from stepforge.labelers.people_rule import digest_up_to, standing
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.regular_files import open_regular
from stepforge.pipelines.storage.store import fsync_folder, naming
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.review import Finding, StepFinding
from stepforge.schemas.rollout import Rollout

FOLDER, FILE = "review", "findings.jsonl"
R = TypeVar("R", bound=Record)


class Lines(NamedTuple, Generic[R]):
    all: list[R]
    unreadable: int
    """Lines cut short by a crash, or of another version."""


def findings_file(layout: Layout, name: str = FILE) -> Path:
    """Return the path of a run's findings, or of another file next to them.

    Raises BadInput: the run is in a store, which cannot append to files.
    """
    if not isinstance(layout.folder, Path):
        raise BadInput(f"{layout.folder}: a store cannot append findings line by line; copy the run first")
    return layout.folder / FOLDER / name


def read_findings(layout: Layout) -> Lines[StepFinding]:
    """Return all findings, none if there is no file. Raises OSError: the file cannot be read, or is a link."""
    return read_lines(layout, FILE, StepFinding)


def read_lines(layout: Layout, name: str, record: type[R]) -> Lines[R]:
    if not isinstance(layout.folder, Path) or not (path := findings_file(layout, name)).exists():
        return Lines([], 0)
    with os.fdopen(open_regular(path), "rb") as file:
        lines = [line for line in file.read().split(b"\n") if line.strip()]
    found: list[R] = []
    for line in lines:
        with suppress(ValidationError):
            found.append(record.model_validate_json(line))
    return Lines(found, len(lines) - len(found))


def by_solution(findings: Iterable[StepFinding]) -> dict[tuple[str, str], list[StepFinding]]:
    """Return the standing findings by problem and solution; an empty list for any other solution."""
    found: dict[tuple[str, str], list[StepFinding]] = defaultdict(list)
    for one in standing(findings):
        found[one.problem_id, one.solution_id].append(one)
    return found


def finding_on(problem: Problem, rollout: Rollout, step: int | None, finding: Finding, **more: object) -> StepFinding:
    """Return a finding on a step, or on the whole solution or the reference, tied to the text that it is about."""
    about: dict[str, object] = {"problem_id": problem.id, "solution_id": rollout.id, "finding": finding, "step": None}
    if finding != "reference_wrong":
        about |= {"step": step, "text_digest": digest_up_to(rollout, step)}
    return StepFinding.model_validate(about | more)


def add_findings(layout: Layout, findings: Iterable[StepFinding]) -> int:
    """Add findings durably, and return how many; two processes may add at the same time.

    Raises BadInput: the run is in a store; RunFailed: the disk fails; nothing confirmed is lost.
    """
    return add_lines(layout, FILE, findings)


def add_lines(layout: Layout, name: str, records: Iterable[Record]) -> int:
    path, lines = findings_file(layout, name), [f"{one.model_dump_json(exclude_defaults=True)}\n" for one in records]
    if not lines:
        return 0
    with naming(path):
        new = not path.exists()
        path.parent.mkdir(exist_ok=True)
        descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            data = memoryview((("\n" if torn else "") + "".join(lines)).encode())
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            fsync_folder(path.parent)
            fsync_folder(path.parent.parent)
    return len(lines)
