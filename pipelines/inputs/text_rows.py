"""Rows of JSON-lines, JSON and CSV files, read from any row on.

Opening a JSON-lines or CSV file scans it once and keeps a sparse index, so that ``read(start)`` begins near row
``start`` and never holds the file. A line that is not a row yields a reason; blank lines are skipped. polars and
`datasets` read such files as columns of one type, which rejects a whole file over one bad line, keeps the last of two
equal keys and rounds long integers.
"""

import csv
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import pyarrow as pa

from stepforge.pipelines.inputs.text_lines import MAX_LINE, Lines, Mark, unpacked
from stepforge.schemas.errors import BadInput

MAX_COLUMNS = 10_000
"""Most columns of a table, and keys of one object."""
MAX_JSON = 512 * 2**20
"""Most bytes of a plain JSON file, which has to be read whole."""
INDEX_EVERY = 256
"""Rows from one index entry to the next."""
PEEKED = 100
"""Rows that determine the columns of a JSON file."""


class RawRow(NamedTuple):
    """A row, or why a line is not one."""

    number: int
    """Line in the file, or row where the format has no lines; from 1."""
    row: Mapping[str, object]
    reason: str = ""
    """Why it is not a row; empty if it is one."""


class Table(Protocol):
    """Rows of one format, by position."""

    exact: bool
    """Whether every row has these columns; otherwise they are those seen in the first rows."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        """Yield the rows from position ``start`` (from 0) on, with at least the columns ``names``."""
        ...


class JsonLines:
    """One JSON object per line; reaching a far row of a compressed file means unpacking up to it."""

    exact = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks, self.count = _indexed(self._lines(Mark(0, 1)))
        self.columns = _keys(self.read(0, ()))

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        if start < self.count:
            lines = self._lines(self.marks[start // INDEX_EVERY])
            for mark, line in islice(lines, start % INDEX_EVERY, None):
                yield _json_row(mark.number, line)

    def _lines(self, mark: Mark) -> Iterator[tuple[Mark, bytes]]:
        lines = Lines(self.path, mark)
        for line in lines:
            if line.strip():
                yield mark, line
            mark = lines.mark


class Json:
    """A list of objects, or one object in which exactly one value is such a list."""

    exact = False

    def __init__(self, path: Path) -> None:
        try:
            with unpacked(path) as file:
                text = file.read(MAX_JSON + 1)
        except (EOFError, zlib.error, pa.ArrowException, OSError) as error:
            raise BadInput(f"{path.name}: cannot be read ({str(error)[:200]}); recreate it") from error
        if len(text) > MAX_JSON:
            raise BadInput(
                f"{path.name}: over {MAX_JSON >> 20} MiB, the limit; plain JSON is read whole: store it as .jsonl"
            )
        try:
            self.rows = _row_list(json.loads(text.decode("utf-8-sig"), object_pairs_hook=_unique_object))
        except json.JSONDecodeError as error:
            remedy = "if each line is an object, name it .jsonl" if error.msg == "Extra data" else "fix it"
            raise BadInput(f"{path.name}, line {error.lineno}: not JSON ({error.msg}); {remedy}") from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path.name}: {_reason(error)}") from error
        self.columns = _keys(self.read(0, ()))

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        for number, row in enumerate(self.rows[start:], start=start + 1):
            yield _object_row(number, row)


class Csv:
    """Comma-separated values with a header; a field may hold line breaks, and an empty one is unknown."""

    exact = True

    def __init__(self, path: Path) -> None:
        self.path = path
        records = self._records(Mark(0, 1))
        _, header = next(records, (None, []))
        self.columns = unique_names(header, path)
        self.marks, self.count = _indexed(records)

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        if start >= self.count:
            return
        records = self._records(self.marks[start // INDEX_EVERY])
        for mark, fields in islice(records, start % INDEX_EVERY, None):
            row = dict(zip(self.columns, fields, strict=False))
            wrong = f"has {len(fields)} fields, the header has {len(self.columns)}; quote fields that hold commas"
            yield RawRow(mark.number, row, "" if len(fields) == len(self.columns) else wrong)

    def _records(self, mark: Mark) -> Iterator[tuple[Mark, list[str]]]:
        csv.field_size_limit(MAX_LINE)  # a setting of the whole process; its default refuses long questions
        lines = Lines(self.path, mark)
        try:
            for fields in csv.reader((line.decode() for line in lines), strict=True):
                if fields:
                    yield mark, fields
                mark = lines.mark
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInput(f"{self.path.name}, line {mark.number}: {_reason(error)}") from error


def _indexed(rows: Iterable[tuple[Mark, object]]) -> tuple[list[Mark], int]:
    """Return where every ``INDEX_EVERY``-th row begins, and how many there are."""
    marks: list[Mark] = []
    count = 0
    for count, (mark, _) in enumerate(rows, start=1):
        if (count - 1) % INDEX_EVERY == 0:
            marks.append(mark)
    return marks, count


def unique_names(names: list[str], path: Path) -> tuple[str, ...]:
    if len(names) > MAX_COLUMNS:
        raise BadInput(f"{path.name}: {len(names):,} columns, the limit is {MAX_COLUMNS:,}; keep those that are needed")
    if twice := _repeated(names):
        raise BadInput(f"{path.name}: two columns are named {twice!r}; rename one")
    return tuple(names)


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _unique_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object, refusing repeated keys: either could be the intended one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"key {str(_repeated(key for key, _ in pairs))[:60]!r} appears twice; remove one")
    if len(found) > MAX_COLUMNS:
        raise ValueError(f"has {len(found):,} keys, the limit is {MAX_COLUMNS:,}; keep those that are needed")
    return found


def _row_list(parsed: object) -> list[object]:
    if isinstance(parsed, list):
        return parsed
    if not isinstance(parsed, dict):
        raise ValueError("is neither a list of objects nor an object with one; store it as .jsonl")
    lists = [key for key, value in parsed.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(lists) != 1:
        found = ", ".join(map(repr, lists)) or "none"
        raise ValueError(f"exactly one value of the object may be a list of objects (found: {found}); keep only that")
    return cast(list[object], parsed[lists[0]])


def _json_row(number: int, line: bytes) -> RawRow:
    try:
        return _object_row(number, json.loads(line.decode(), object_pairs_hook=_unique_object))
    except (ValueError, RecursionError) as error:
        return RawRow(number, {"line": line[:2000].decode(errors="replace")}, _reason(error))


def _object_row(number: int, parsed: object) -> RawRow:
    if isinstance(parsed, dict):
        return RawRow(number, parsed)
    return RawRow(number, {"line": str(parsed)[:2000]}, "is not a JSON object; write {...} with a key for each column")


def _reason(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"not JSON ({error.msg}, character {error.colno}); fix or remove it"
        case UnicodeDecodeError():
            return "not UTF-8; store the file as UTF-8"
        case RecursionError():
            return "is nested too deep; flatten it"
        case csv.Error():
            return f"not CSV ({error}); check the quotes from here on"
        case _:
            return str(error).partition("\n")[0]


def _keys(rows: Iterator[RawRow]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for raw in islice(rows, PEEKED) if not raw.reason for key in raw.row))
