"""The problems of a problem set, by position: shard k of size s reads rows k*s to (k+1)*s and nothing else.

``check`` reads every row once before a run starts. What ``rows`` yields for a position never depends on which rows
were read before. A source is small and pickles: open and check it once, and send it to the workers.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from stepforge.generators.problem_sets import SUFFIXES, ProblemSet, SourceItem, check_columns, row_to_problem
from stepforge.pipelines.inputs.column_rows import Parquet, open_hub
from stepforge.pipelines.inputs.text_rows import Csv, Json, JsonLines, RawRow, Table
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected
from stepforge.schemas.record import Record

FILTER = "problem_set"
"""What a rejected row names as its filter."""
_FORMATS: dict[str, type[JsonLines | Json | Csv | Parquet]] = {
    ".jsonl": JsonLines,
    ".jsonl.gz": JsonLines,
    ".json": Json,
    ".csv": Csv,
    ".parquet": Parquet,
}


class ProblemCount(Record):
    """What a check found; ``rows = problems + rejected``."""

    rows: int
    problems: int
    rejected: int
    solutions: int
    """Solutions that came along."""
    without_answer: int
    """Problems without a reference answer."""


class Print(NamedTuple):
    """What tells whether a file is as it was."""

    name: str
    size: int
    """Bytes that the digest is taken of, from the file's beginning."""
    digest: str


class _Survey(NamedTuple):
    counted: ProblemCount
    repeats: dict[int, str]
    """For each position whose id an earlier row has, the message about it."""


class ProblemSource:
    """The rows of a problem set. ``len()`` counts good and bad rows alike, up to the set's limit."""

    def __init__(self, part: ProblemSet, tables: list[tuple[str, Table]], files: list[Path]) -> None:
        self.part = part
        self.tables = tables
        self.files = files
        self.stamps = [_stamp(path) for path in files]
        self.names = tuple(dict.fromkeys(part.columns.values()))
        self._survey: _Survey | None = None
        for name, table in tables:
            if table.exact:
                check_columns(part.columns, table.columns, name)
            elif table.columns:  # any object may leave out the others; `check` sees whether all of them do
                required = {field: column for field, column in part.columns.items() if field in ("question", "id")}
                check_columns(required, table.columns, name)

    def __len__(self) -> int:
        total = sum(len(table) for _, table in self.tables)
        return total if self.part.limit is None else min(total, self.part.limit)

    def rows(self, start: int, stop: int) -> Iterator[SourceItem | Rejected]:
        """Yield one outcome for each row from position ``start`` to before ``stop``.

        A set that rejects bad rows needs to know the repeated ones: without a `check` before, the first call reads
        every row.

        Raises:
            BadInput: a bad row where the set stops at one, or the file was changed after it was opened.
        """
        if self.part.on_bad_row == "reject" and self._survey is None:
            self._survey = self._read_all()
        repeats = self._survey.repeats if self._survey else {}
        for position, (name, raw) in enumerate(self._raw(start, stop), start=start):
            try:
                if position in repeats:
                    raise BadInput(repeats[position])
                yield self._item(name, raw)
            except BadInput as error:
                if self.part.on_bad_row == "stop":
                    raise
                yield self._rejected(name, raw, str(error))

    def check(self) -> ProblemCount:
        """Read every row once, and count.

        Raises:
            BadInput: there is no usable row, a named column is in no row, or, where the set stops at bad rows, a row
                is bad or repeats an id.
        """
        self._survey = self._read_all()
        return self._survey.counted

    def prints(self) -> list[Print]:
        """Return a print of each file, for a run to notice that its problems have changed; reads the files once."""
        if not self.files:
            return [Print(name, 0, getattr(table, "fingerprint", "")) for name, table in self.tables]
        return [Print(path.name, size := path.stat().st_size, _digest(path, size)) for path in self.files]

    def goes_on_from(self, before: Sequence[Print]) -> bool:
        """Whether what was there then still is, and what was added stands behind it."""
        if not self.files or len(self.files) < len(before):
            return self.prints() == list(before)
        kept = list(zip(self.files, before, strict=False))
        same = all(path.name == old.name and _digest(path, old.size) == old.digest for path, old in kept)
        return same and all(path.stat().st_size == old.size for path, old in kept[:-1])

    def _raw(self, start: int, stop: int) -> Iterator[tuple[str, RawRow]]:
        for path, stamp in zip(self.files, self.stamps, strict=True):
            if _stamp(path) != stamp:
                raise BadInput(f"{path.name}: changed since it was opened; start again")
        before, stop = 0, min(stop, len(self))
        for name, table in self.tables:
            first, end = max(start - before, 0), min(stop - before, len(table))
            if first < end:
                yield from ((name, raw) for raw in islice(table.read(first, self.names), end - first))
            before += len(table)

    def _item(self, name: str, raw: RawRow) -> SourceItem:
        if raw.reason:
            raise BadInput(f"{name}, row {raw.number}: {raw.reason}")
        return row_to_problem(self.part, raw.row, raw.number, name)

    def _rejected(self, name: str, raw: RawRow, reason: str) -> Rejected:
        try:
            kept = json.dumps(dict(raw.row), default=str)
        except RecursionError:
            kept = "{}"
        return Rejected(problem_id=f"{self.part.label}:{name}:{raw.number}", filter=FILTER, reason=reason, row=kept)

    def _read_all(self) -> _Survey:
        repeats: dict[int, str] = {}
        first_rows: dict[bytes, str] = {}
        present: dict[str, None] = {}
        problems = solutions = unanswered = 0
        last = ""
        for position, (name, raw) in enumerate(self._raw(0, len(self))):
            present.update(dict.fromkeys(raw.row))
            try:
                item = self._item(name, raw)
                key = blake2b(item.problem.id.encode(), digest_size=16).digest()
                first = first_rows.setdefault(key, here := f"{name}, row {raw.number}")
                if first is not here:
                    repeats[position] = f"{here}: {self._same_as(first)}"
                    raise BadInput(repeats[position])
            except BadInput as error:
                if self.part.on_bad_row == "stop":
                    raise
                last = f"; the last: {error}"
                continue
            problems += 1
            solutions += len(item.solutions)
            unanswered += item.problem.answer is None
        source = self.part.path or f"hub dataset {self.part.hub}"
        if not problems:
            raise BadInput(f"{source}: no usable row among {len(self)}{last}")
        check_columns(self.part.columns, present, source)
        count = ProblemCount(
            rows=len(self),
            problems=problems,
            rejected=len(self) - problems,
            solutions=solutions,
            without_answer=unanswered,
        )
        return _Survey(count, repeats)

    def _same_as(self, first: str) -> str:
        if self.part.id:
            return f"id (column {self.part.id!r}) is that of {first}; make ids unique, or set on_bad_row = 'reject'"
        return f"question is that of {first}; remove one, name an id column, or set on_bad_row = 'reject'"


def open_problems(part: ProblemSet) -> ProblemSource:
    """Open a problem set and find its columns and number of rows; `check` then reads the rows themselves.

    Raises:
        BadInput: there is nothing readable, or a column is not there.
    """
    if part.path is None:
        return ProblemSource(part, [(part.hub or "", open_hub(part))], [])
    path = Path(part.path).expanduser()
    files = _folder_files(path) if path.is_dir() else [path]
    return ProblemSource(part, [(file.name, _open_table(file)) for file in files], files)


def _folder_files(folder: Path) -> list[Path]:
    try:
        found = sorted(p for p in folder.iterdir() if _suffix(p) and not p.name.startswith(".") and p.is_file())
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise BadInput(f"{folder}: no problem file in this folder; {_READ}")
    formats = sorted({_suffix(p) for p in found})
    if len(formats) > 1:
        raise BadInput(f"{folder}: files of several formats ({', '.join(formats)}); name one file, or part them")
    return found


def _open_table(path: Path) -> Table:
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*") if _suffix(p))[:10] if path.parent.is_dir() else []
        raise BadInput(f"{path}: no such file or folder{'; beside it: ' + ', '.join(near) if near else ''}")
    if not path.is_file() or not _suffix(path):
        raise BadInput(f"{path}: not a problem file; {_READ}")
    try:
        return _FORMATS[_suffix(path)](path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error


_READ = f"what is read is called {', '.join('*' + suffix for suffix in SUFFIXES)}"


def _suffix(path: Path) -> str:
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def _digest(path: Path, size: int) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
