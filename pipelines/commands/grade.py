"""Grading a file of responses: every row gets ``verdict`` and ``extracted``, or nothing is written at all."""

import asyncio
import json
import math
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import IO

from pydantic_core import to_jsonable_python

from stepforge.grading.final_answer import extract_answer, reference_answer
from stepforge.pipelines.commands.grade_audit import Audit, Auditor
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.inputs.tables import rows_of
from stepforge.pipelines.storage.store import committed
from stepforge.pipelines.verification.own_verifier import verifier_function
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import KeptColumn, Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome
from stepforge.schemas.verifier import PythonVerifier

CHUNK = 2000
"""Rows graded at once."""
ADDED = ("verdict", "extracted")

Row = dict[str, object]


class GradeSummary(Record):
    """Counts of verdicts in a file, and the time taken, in seconds."""

    rows: int
    correct: int
    wrong: int
    undetermined: int
    seconds: float
    audit: Audit | None = None

    def __str__(self) -> str:
        counts = f"{self.correct} correct, {self.wrong} wrong, {self.undetermined} undetermined"
        line = f"{self.rows} rows in {self.seconds:.1f} s: {counts}"
        return line if self.audit is None else f"{line}\n{self.audit}"


def grade_file(
    path: Path,
    answer: str | None,
    response: str,
    out: Path | None,
    *,
    audit: str | None = None,
    verifier: str | None = None,
) -> GradeSummary:
    """Grade column ``response`` against column ``answer``; write JSON lines to ``out``, or to standard output.

    The answer is a bare answer or a worked solution that frames it. ``verifier`` (``module:function``) decides instead,
    in isolation; it gets the row's ``question`` and, as ``kept``, its other texts. ``audit`` names a column of other
    verdicts to compare with; then rows are written only with ``out``.

    Raises BadInput: neither an answer nor a verifier is named, there is no such function, or a row cannot be graded.
    """
    started = time.monotonic()
    if verifier is not None:
        verifier_function(verifier)
    elif answer is None:
        raise BadInput("--answer: name the column of the reference, or a --verifier that decides")
    rule = None if verifier is None else PythonVerifier(function=verifier)
    if out is not None and not out.parent.is_dir():
        raise BadInput(f"{out}: the folder {out.parent} does not exist; create it or name another --out")
    if out is not None and out.is_dir():
        raise BadInput(f"{out}: a folder; name a file with --out")
    auditor = None if audit is None else Auditor(audit)
    with committed(out) if out is not None else tempfile.TemporaryFile() as file:
        counts = asyncio.run(_grade_rows(path, (answer, response, rule), file, auditor))
        if out is None and auditor is None:
            file.seek(0)
            sys.stdout.writelines(line.decode() for line in file)
    result = None if auditor is None else auditor.result()
    return GradeSummary(rows=sum(counts.values()), seconds=time.monotonic() - started, audit=result, **counts)


async def _grade_rows(
    path: Path, columns: tuple[str | None, str, PythonVerifier | None], file: IO[bytes], auditor: Auditor | None
) -> dict[Outcome, int]:
    counts: dict[Outcome, int] = {"correct": 0, "wrong": 0, "undetermined": 0}
    rows = ((f"{path}, row {number}", dict(row)) for number, row in rows_of(path))
    async with PooledGrader() as grader:
        while chunk := list(islice(rows, CHUNK)):
            found = [_found(row, place, *columns) for place, row in chunk]
            theirs = [None if auditor is None else auditor.theirs(row, place) for place, row in chunk]
            graded = await asyncio.gather(*(grader.grade(problem, [stated]) for problem, stated in found))
            for (place, row), (problem, stated), said, (outcome,) in zip(chunk, found, theirs, graded, strict=True):
                counts[outcome] += 1
                if auditor is not None and said is not None:
                    auditor.add(place, outcome, said, problem.answer, stated)
                file.write(_line({**row, "verdict": outcome, "extracted": stated}, place).encode())
    return counts


def _line(row: Row, place: str) -> str:
    """Return a row as JSON, with NaN and infinities as null."""
    try:
        return json.dumps(to_jsonable_python(row, inf_nan_mode="null", bytes_mode="base64", fallback=str)) + "\n"
    except ValueError as error:
        raise BadInput(f"{place}: cannot be written as JSON ({error}); drop the column") from None


def _found(
    row: Row, place: str, answer: str | None, response: str, verifier: PythonVerifier | None
) -> tuple[Problem, str | None]:
    """Return the problem with its reference or verifier, and the response's answer, or the whole response."""
    taken = [column for column in ADDED if column in row]
    if taken:
        raise BadInput(f"{place}: already has a column {taken[0]!r}, which would be lost; rename it")
    reference = None if answer is None else _text(row, answer, place, "answer")
    text = _text(row, response, place, "response")
    others = [(name, value) for name, value in row.items() if isinstance(value, str) and name != response]
    problem = Problem(
        id=place,
        source="file",
        domain="",
        question=next((value for name, value in others if name == "question"), ""),
        answer=None if reference is None else reference_answer(reference),
        answer_kind="math",
        group=place,
        verifier=verifier,
        kept=tuple(KeptColumn(name=name, value=value) for name, value in others) if verifier else (),
    )
    return problem, text if text is None or verifier else extract_answer(text)


def _text(row: Row, column: str, place: str, option: str) -> str | None:
    if column not in row:
        raise BadInput(f"{place}: no column {column!r} (it has {', '.join(map(repr, row))}); name one with --{option}")
    value = row[column]
    if isinstance(value, list):
        if not all(isinstance(part, str) for part in value):
            raise BadInput(f"{place}: column {column!r} is a list with items that are not text; give texts")
        return "\n\n".join(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    raise BadInput(f"{place}: column {column!r} is a {type(value).__name__}; give a text, a number or a list of texts")
