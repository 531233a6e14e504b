"""Grading a file of responses: every row gets ``verdict`` and ``extracted``, or nothing is written at all."""

import asyncio
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.answers import extract_answer, stated_answer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome

CHUNK = 2000
"""Rows graded at once."""
MAX_BARE = 300
"""Longest reference without a frame that is taken as it stands, in characters; a longer one is searched."""

Row = dict[str, Any]


class GradeSummary(Record):
    """How many rows of a file came out how, and how long it took, in seconds."""

    rows: int
    correct: int
    wrong: int
    undetermined: int
    seconds: float


def grade_file(
    path: Path,
    answer: str,
    response: str,
    out: Path | None,
    *,
    limit_seconds: float = 6.0,
    processes: int = 1,
) -> GradeSummary:
    """Grade column ``response`` against column ``answer``; write JSON lines to ``out``, or to standard output.

    The answer is a bare answer or a worked solution that frames it. ``limit_seconds`` bounds one comparison.

    Raises:
        BadInput: the file cannot be read, a row is malformed, or a column is missing; ``out`` is left as it was.
    """
    started = time.monotonic()
    if out is not None and not out.parent.is_dir():
        raise BadInput(f"{out}: the folder {out.parent} does not exist; create it or name another --out")
    if out is not None and out.is_dir():
        raise BadInput(f"{out}: a folder; name a file with --out")
    folder = out.parent if out is not None else None
    with tempfile.TemporaryDirectory(dir=folder, prefix=".grade-") as beside:
        written = Path(beside) / "graded.jsonl"
        with written.open("w", encoding="utf-8") as stream:
            counts = asyncio.run(_grade_rows(path, answer, response, stream, limit_seconds, processes))
        if out is not None:
            written.replace(out)
        else:
            with written.open(encoding="utf-8") as graded:
                shutil.copyfileobj(graded, sys.stdout)
    return GradeSummary(rows=sum(counts.values()), seconds=time.monotonic() - started, **counts)


async def _grade_rows(
    path: Path, answer: str, response: str, stream: IO[str], limit_seconds: float, processes: int
) -> dict[Outcome, int]:
    counts: dict[Outcome, int] = {"correct": 0, "wrong": 0, "undetermined": 0}
    rows = _rows(path)
    async with PooledGrader(limit_seconds=limit_seconds, processes=processes) as grader:
        while chunk := list(islice(rows, CHUNK)):
            found = [_found(row, place, answer, response) for place, row in chunk]
            graded = await asyncio.gather(*(grader.grade(problem, [stated]) for problem, stated in found))
            for (_, row), (_, stated), (outcome,) in zip(chunk, found, graded, strict=True):
                counts[outcome] += 1
                stream.write(json.dumps({**row, "verdict": outcome, "extracted": stated}, default=str) + "\n")
    return counts


def _found(row: Row, place: str, answer: str, response: str) -> tuple[Problem, str | None]:
    """Return the problem with its reference, and the answer that the response states."""
    reference = _text(row, answer, place, "answer")
    text = _text(row, response, place, "response")
    problem = Problem(
        id=place,
        source="file",
        domain="",
        question="",
        answer=None if reference is None else reference_answer(reference),
        answer_kind="math",
        group=place,
    )
    return problem, None if text is None else extract_answer(text)


def reference_answer(text: str) -> str | None:
    r"""Return the answer that a worked solution frames (``#### 18``, ``\boxed{18}``), or a bare answer as it is."""
    framed = stated_answer(text)
    if framed is not None:
        return framed
    bare = text.strip()
    return (bare if len(bare) <= MAX_BARE and "\n" not in bare else extract_answer(text)) or None


def _text(row: Row, column: str, place: str, option: str) -> str | None:
    if column not in row:
        raise BadInput(f"{place}: no column {column!r} (it has {', '.join(map(repr, row))}); name one with --{option}")
    value = row[column]
    if isinstance(value, list):
        if not all(isinstance(part, str) for part in value):
            raise BadInput(f"{place}: column {column!r} is a list of something else than texts; give texts")
        return "\n\n".join(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    raise BadInput(f"{place}: column {column!r} is a {type(value).__name__}; give a text, a number or a list of texts")


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield every row with the words that name its place."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file; give a .jsonl, .csv or .parquet file")
    if path.suffix.lower() in (".csv", ".parquet"):
        yield from _table_rows(path)
    else:
        yield from _json_rows(path)


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{path}, row {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{place}: not JSON ({error}); give one JSON object a line") from error
            if not isinstance(row, dict):
                raise BadInput(f"{place}: a {type(row).__name__}, not a JSON object; give one object a line")
            yield place, row


def _table_rows(path: Path) -> Iterator[tuple[str, Row]]:
    import polars

    try:
        csv = path.suffix.lower() == ".csv"
        table = polars.read_csv(path, infer_schema=False) if csv else polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        first = str(error).strip().split("\n")[0]
        raise BadInput(f"{path}: cannot be read ({first}); give a .jsonl, .csv or .parquet file") from error
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        yield f"{path}, row {number}", row
