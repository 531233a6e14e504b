"""Rows of JSON-lines, JSON and CSV files, read from any row on.

Opening a JSON-lines or CSV file scans it once and keeps a sparse index, so that ``read(start)`` begins near row
``start`` and never holds the file. A line that is no row comes as a reason; blank lines are no rows.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

from stepforge.schemas.errors import BadInput

MAX_LINE = 64 * 2**20
"""Most bytes of one line."""
MAX_JSON = 512 * 2**20
"""Most bytes of a plain JSON file, which has to be read whole."""
MAX_GZIP = 64 * 2**30
MAX_GZIP_RATIO = 200
"""A compressed file may grow to 64 MiB or so many times its size, and never beyond ``MAX_GZIP`` bytes."""
INDEX_EVERY = 256
"""Rows from one index entry to the next."""
PEEKED = 100
"""Rows that tell the columns of a JSON file."""


class RawRow(NamedTuple):
    """A row, or why a line is none."""

    number: int
    """Line in the file, or row where the format has no lines; from 1."""
    row: Mapping[str, object]
    reason: str = ""
    """Why it is no row; empty if it is one."""


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


class _Mark(NamedTuple):
    offset: int
    number: int


class _Lines:
    """The lines of a file from a mark on, each bounded; ``mark`` is where the next one begins."""

    def __init__(self, path: Path, mark: _Mark) -> None:
        self.path = path
        self.mark = mark
        self.compressed = path.name.lower().endswith(".gz")
        self.most = min(MAX_GZIP, max(MAX_LINE, MAX_GZIP_RATIO * path.stat().st_size))

    def __iter__(self) -> Iterator[bytes]:
        with cast(IO[bytes], gzip.open(self.path) if self.compressed else self.path.open("rb")) as file:
            try:
                file.seek(self.mark.offset)
                while line := file.readline(MAX_LINE + 1):
                    yield self._checked(line)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise BadInput(f"{self._place}: not a whole gzip file ({error}); make it anew") from error

    @property
    def _place(self) -> str:
        return f"{self.path.name}, line {self.mark.number}"

    def _checked(self, line: bytes) -> bytes:
        if len(line) > MAX_LINE:
            raise BadInput(f"{self._place}: over {MAX_LINE >> 20} MiB; is this one row a line?")
        offset = self.mark.offset + len(line)
        if self.compressed and offset > self.most:
            raise BadInput(f"{self._place}: unpacks to over {self.most >> 20} MiB; unpack it if that is right")
        if self.mark.offset == 0:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise BadInput(f"{self.path.name}: is UTF-16; store it as UTF-8")
            line = line.removeprefix(b"\xef\xbb\xbf")
        self.mark = _Mark(offset, self.mark.number + 1)
        return line


class JsonLines:
    """One JSON object a line, plain or compressed by gzip; far rows of a compressed file cost unpacking up to them."""

    exact = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: list[_Mark] = []
        self.count = 0
        for mark, _ in self._lines(_Mark(0, 1)):
            if self.count % INDEX_EVERY == 0:
                self.marks.append(mark)
            self.count += 1
        self.columns = _keys(self.read(0, ()))

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        """Yield the rows from position ``start`` on."""
        if start < self.count:
            lines = self._lines(self.marks[start // INDEX_EVERY])
            for mark, line in islice(lines, start % INDEX_EVERY, None):
                yield _json_row(mark.number, line)

    def _lines(self, mark: _Mark) -> Iterator[tuple[_Mark, bytes]]:
        lines = _Lines(self.path, mark)
        for line in lines:
            if line.strip():
                yield mark, line
            mark = lines.mark


class Json:
    """A list of objects, or one object in which exactly one value is such a list."""

    exact = False

    def __init__(self, path: Path) -> None:
        if path.stat().st_size > MAX_JSON:
            raise BadInput(f"{path.name}: over {MAX_JSON >> 20} MiB; plain JSON is read whole: store it as .jsonl")
        try:
            self.rows = _row_list(json.loads(path.read_bytes().decode("utf-8-sig")))
        except json.JSONDecodeError as error:
            remedy = "if each line is an object, name it .jsonl" if error.msg == "Extra data" else "mend it"
            raise BadInput(f"{path.name}, line {error.lineno}: not JSON ({error.msg}); {remedy}") from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path.name}: {_reason(error)}") from error
        self.columns = _keys(self.read(0, ()))

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        """Yield the rows from position ``start`` on."""
        for number, row in enumerate(self.rows[start:], start=start + 1):
            yield _object_row(number, row)


class Csv:
    """Comma-separated values with a header; a field may hold line breaks, and an empty one is unknown."""

    exact = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: list[_Mark] = []
        self.columns: tuple[str, ...] = ()
        self.count = -1  # the header is the first record
        for mark, fields in self._records(_Mark(0, 1)):
            if self.count < 0:
                self.columns = unique_names(fields, path)
            elif self.count % INDEX_EVERY == 0:
                self.marks.append(mark)
            self.count += 1

    def __len__(self) -> int:
        return max(self.count, 0)

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        """Yield the rows from position ``start`` on."""
        if start >= self.count:
            return
        records = self._records(self.marks[start // INDEX_EVERY])
        for mark, fields in islice(records, start % INDEX_EVERY, None):
            row = dict(zip(self.columns, fields, strict=False))
            wrong = f"has {len(fields)} fields, the header has {len(self.columns)}; quote fields that hold commas"
            yield RawRow(mark.number, row, "" if len(fields) == len(self.columns) else wrong)

    def _records(self, mark: _Mark) -> Iterator[tuple[_Mark, list[str]]]:
        csv.field_size_limit(MAX_LINE)  # a setting of the whole process; its default refuses long questions
        lines = _Lines(self.path, mark)
        try:
            for fields in csv.reader((line.decode() for line in lines), strict=True):
                if fields:
                    yield mark, fields
                mark = lines.mark
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInput(f"{self.path.name}, line {mark.number}: {_reason(error)}") from error


def unique_names(names: list[str], path: Path) -> tuple[str, ...]:
    """Return the column names of a file.

    Raises:
        BadInput: two are the same.
    """
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise BadInput(f"{path.name}: two columns are called {twice[0]!r}; rename one")
    return tuple(names)


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
        return _object_row(number, json.loads(line.decode()))
    except (ValueError, RecursionError) as error:
        return RawRow(number, {"line": line[:2000].decode(errors="replace")}, _reason(error))


def _object_row(number: int, parsed: object) -> RawRow:
    if isinstance(parsed, dict):
        return RawRow(number, parsed)
    return RawRow(number, {"line": str(parsed)[:2000]}, "is not a JSON object; write {...} with a key for each column")


def _reason(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"not JSON ({error.msg}, character {error.colno}); mend or remove it"
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
