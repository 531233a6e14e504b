"""Shards of the stages that only filter: which rows of the previous shard they keep, and the rows that they changed.

Copies of rows that did not change would double what a run stores.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from pydantic import ValidationError

from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows, read_shard, shard_metadata
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

R = TypeVar("R", SolvedProblem, LabeledProblem)


class Kept(Record):
    row: int
    """Its number in the previous shard."""
    problem_id: str
    changed: str | None = None
    """The row as JSON, where a filter changed it."""


def kept_rows(before: Sequence[R], after: Iterable[R]) -> list[Kept]:
    """Rows of ``after`` as stored; in the order of the rows they were made from."""
    numbers = iter(enumerate(before))
    kept = []
    for row in after:
        number, source = next((n, r) for n, r in numbers if r is row or r.problem.id == row.problem.id)
        changed = None if row is source or row == source else row.model_dump_json()
        kept.append(Kept(row=number, problem_id=row.problem.id, changed=changed))
    return kept


def read_vetted(layout: Layout, index: int) -> list[SolvedProblem]:
    return list(_joined(layout.shard("vet", index), layout.shard("solve", index), SolvedProblem, ()))


def read_curated(layout: Layout, index: int, *, without: Collection[str] = ()) -> Iterator[LabeledProblem]:
    """Yield the rows that passed curation, a few at a time; columns ``without`` come back empty."""
    return _joined(layout.shard("curate", index), layout.shard("label", index), LabeledProblem, without)


def read_with_curated(
    layout: Layout, index: int, *, without: Collection[str] = ()
) -> Iterator[tuple[LabeledProblem, LabeledProblem | None]]:
    """Yield all labeled rows, each with its curated version: None if it did not pass, or not yet. Raises RunFailed: a
    shard is damaged, or was not made from the one before it; the line names it."""
    source, path = layout.shard("label", index), layout.shard("curate", index)
    kept = {one.row: one for one in _kept(path, source)} if path.exists() else {}
    for number, row in enumerate(read_rows(source, LabeledProblem, without=without)):
        one = kept.get(number)
        yield row, None if one is None else _as_kept(one, row, path, without)


def _joined(path: AnyPath, source: AnyPath, record: type[R], without: Collection[str]) -> Iterator[R]:
    kept = _kept(path, source)
    rows = read_rows(source, record, without=without, only={one.row for one in kept})
    for one, row in zip(kept, rows, strict=True):
        yield _as_kept(one, row, path, without)


def _kept(path: AnyPath, source: AnyPath) -> list[Kept]:
    if shard_metadata(path).get("source") != shard_metadata(source)["digest"]:
        raise RunFailed(f"{path}: was not made from {source}; delete it and run again")
    kept = read_shard(path, Kept)
    ends = [-1, *(one.row for one in kept), shard_metadata(source)["rows"]]
    if any(one >= after for one, after in pairwise(ends)):
        raise _no_such_row(path)
    return kept


def _no_such_row(path: AnyPath) -> RunFailed:
    return RunFailed(f"{path}: names a row that the previous shard does not have; delete it and run again")


def _as_kept(one: Kept, row: R, path: AnyPath, without: Collection[str]) -> R:
    if row.problem.id != one.problem_id:
        raise _no_such_row(path)
    if one.changed is None:
        return row
    empty = {name: () for name in without if name in type(row).model_fields}
    try:
        return type(row).model_validate_json(one.changed).model_copy(update=empty)
    except ValidationError:
        raise RunFailed(
            f"{path}: damaged shard (a changed row cannot be read); delete this file and run again"
        ) from None
