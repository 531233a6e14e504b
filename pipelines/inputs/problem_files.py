"""The problems of a problem set, by position: a shard reads only its own problems.

``check`` reads every row once before a run starts. Rows are problems one to one, unless they supply solutions: then
those that share an id, or without one per question, are one problem. What ``rows`` yields for a position never depends
on earlier reads. A source is small and pickles: open and check it once, then send it to the workers.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

from stepforge.generators.columns import check_columns, stored_under
from stepforge.generators.problem_sets import ProblemSet, SourceItem, row_to_problem, unwanted
from stepforge.pipelines.inputs.column_rows import open_hub
from stepforge.pipelines.inputs.survey import Outcome, ProblemCount, Survey, runs, survey, together
from stepforge.pipelines.inputs.tables import Print, digest_of, folder_files, open_table, stamp_of
from stepforge.pipelines.inputs.text_rows import RawRow, Table
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected

FILTER = "problem_set"
"""The filter name of a bad row."""
SELECTED = "selection"
"""The filter name of a good row dropped by its quality or license."""


class ProblemSource:
    """The problems of a problem set. ``len()`` counts good and bad ones alike, up to the set's limit."""

    def __init__(self, part: ProblemSet, tables: list[tuple[str, Table]], files: list[Path]) -> None:
        self.part = part
        self.tables = tables
        self.files = files
        self.stamps = [stamp_of(path) for path in files]
        self.wanted = {**part.columns, **{f"keep.{i}": name for i, name in enumerate(part.keep)}}
        self._survey: Survey | None = None
        for name, table in tables:
            if table.exact:
                check_columns(self.wanted, table.columns, name)
            elif table.columns:  # any object may leave out the others; `check` sees whether all of them do
                required = {field: column for field, column in self.wanted.items() if field in ("question", "id")}
                check_columns(required, table.columns, name)

    def __len__(self) -> int:
        total = len(self._surveyed().firsts) if self.part.supplies else self._row_count
        return total if self.part.limit is None else min(total, self.part.limit)

    def rows(self, start: int, stop: int) -> Iterator[SourceItem | Rejected]:
        """Yield one outcome for each problem from position ``start`` to before ``stop``.

        A set that rejects bad rows, or that supplies solutions, needs to know which rows belong together: without a
        prior `check`, the first call reads every row.
        """
        stop = min(stop, len(self))
        if not self.part.supplies:
            repeats = self._surveyed().repeats if self.part.on_bad_row == "reject" else {}
            for position, (name, raw) in enumerate(self._raw(start, stop), start=start):
                yield self._outcome(name, raw, repeats.get(position))
            return
        known = self._surveyed()
        problems = [(first, *known.further.get(first, ())) for first in known.firsts[start:stop]]
        there = self._raw_at(set(chain.from_iterable(problems)))
        for positions in problems:
            outcomes = [self._outcome(*there[p], known.repeats.get(p)) for p in positions]
            items = [outcome for outcome in outcomes if isinstance(outcome, SourceItem)]
            yield together(items) if items else outcomes[0]

    def check(self) -> ProblemCount:
        """Read every row once, and count."""
        self._survey = None
        return self._surveyed().counted

    def prints(self) -> list[Print]:
        """Return a fingerprint of each file, by which a run notices changed problems; reads the files once."""
        if not self.files:
            return [Print(name, 0, getattr(table, "fingerprint", ""), len(table)) for name, table in self.tables]
        sizes = [path.stat().st_size for path in self.files]
        return [
            Print(path.name, size, digest_of(path, size), len(table))
            for path, size, (_, table) in zip(self.files, sizes, self.tables, strict=True)
        ]

    def goes_on_from(self, before: Sequence[Print]) -> bool:
        """Whether the earlier content is unchanged, with additions only after it and as separate problems."""
        if not self.files or len(self.files) < len(before):
            return self.prints() == list(before)
        old = list(zip(self.files, before, strict=False))
        same = all(path.name == was.name and digest_of(path, was.size) == was.digest for path, was in old)
        same = same and all(path.stat().st_size == was.size for path, was in old[:-1])
        return same and not (self.part.supplies and self._surveyed().joins_earlier(sum(was.rows for was in before)))

    @property
    def _row_count(self) -> int:
        return sum(len(table) for _, table in self.tables)

    def _raw_at(self, positions: set[int]) -> dict[int, tuple[str, RawRow]]:
        there: dict[int, tuple[str, RawRow]] = {}
        for run in runs(sorted(positions)):
            read = enumerate(self._raw(run[0], run[-1] + 1), start=run[0])
            there |= {position: row for position, row in read if position in positions}
        return there

    def _raw(self, start: int, stop: int) -> Iterator[tuple[str, RawRow]]:
        for path, stamp in zip(self.files, self.stamps, strict=True):
            if stamp_of(path) != stamp:
                raise BadInput(f"{path.name}: changed since it was opened; start again")
        before = 0
        for name, table in self.tables:
            first, end = max(start - before, 0), min(stop - before, len(table))
            if first < end:
                names = tuple(dict.fromkeys(stored_under(column, table.columns) for column in self.wanted.values()))
                yield from ((name, raw) for raw in islice(table.read(first, names), end - first))
            before += len(table)

    def _item(self, name: str, raw: RawRow) -> SourceItem:
        if raw.reason:
            raise BadInput(f"{name}, row {raw.number}: {raw.reason}")
        return row_to_problem(self.part, raw.row, raw.number, name)

    def _outcome(self, name: str, raw: RawRow, repeated: str | None) -> SourceItem | Rejected:
        try:
            if repeated:
                raise BadInput(repeated)
            item = self._item(name, raw)
        except BadInput as error:
            if self.part.on_bad_row == "stop":
                raise
            return self._rejected(name, raw, str(error))
        why = unwanted(self.part, raw.row, item.problem)
        return item if why is None else self._rejected(name, raw, why, SELECTED)

    def _rejected(self, name: str, raw: RawRow, reason: str, filter_: str = FILTER) -> Rejected:
        try:
            kept = json.dumps(dict(raw.row), default=str)
        except RecursionError:
            kept = "{}"
        return Rejected(problem_id=f"{self.part.label}:{name}:{raw.number}", filter=filter_, reason=reason, row=kept)

    def _surveyed(self) -> Survey:
        if self._survey is None:
            present: dict[str, None] = {}
            end = self._row_count
            if self.part.limit is not None and not self.part.supplies:
                end = min(end, self.part.limit)
            source = self.part.path or f"hub dataset {self.part.hub}"
            found = survey(self.part, self._outcomes(end, present), source)
            check_columns(self.wanted, present, source)
            self._survey = found
        return self._survey

    def _outcomes(self, end: int, present: dict[str, None]) -> Iterator[Outcome]:
        for name, raw in self._raw(0, end):
            present.update(dict.fromkeys(raw.row))
            try:
                yield name, raw.number, self._item(name, raw)
            except BadInput as error:
                yield name, raw.number, error


def open_problems(part: ProblemSet) -> ProblemSource:
    """Open a problem set and find its columns and number of rows; `check` then reads the rows themselves."""
    return ProblemSource(part, *open_tables(part))


def open_tables(part: ProblemSet) -> tuple[list[tuple[str, Table]], list[Path]]:
    """Open the tables of a problem set, each with its name, and return the files they are in, none for a Hub set."""
    if part.path is None:
        return [(part.hub or "", open_hub(part))], []
    path = Path(part.path).expanduser()
    files = folder_files(path) if path.is_dir() else [path]
    return [(file.name, open_table(file)) for file in files], files


open_once = lru_cache(maxsize=16)(open_problems)
"""The same, once per process: a worker reads many shards of one set. A file changed in the meantime is refused."""
