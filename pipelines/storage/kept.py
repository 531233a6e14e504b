"""Shards of the stages that only filter: which rows of the shard before they keep, and the rows that they changed.

Copies of rows that did not change would double what a run stores.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
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
    """A row that passed the filters."""

    row: int
    """Its number in the shard before."""
    problem_id: str
    changed: str | None = None
    """The row as JSON, where a filter changed it."""


def kept_rows(before: Sequence[R], after: Iterable[R]) -> list[Kept]:
    """Rows of ``after`` as they are stored; they come in the order of the rows they were made from."""
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
    """Yield the rows that came through curation, a few at a time; columns ``without`` come back empty."""
    return _joined(layout.shard("curate", index), layout.shard("label", index), LabeledProblem, without)


def _joined(path: AnyPath, source: AnyPath, record: type[R], without: Collection[str]) -> Iterator[R]:
    if shard_metadata(path).get("source") != shard_metadata(source)["digest"]:
        raise RunFailed(f"{path}: was not made from {source}; delete it and run again")
    kept = read_shard(path, Kept)
    rows = read_rows(source, record, without=without, only={one.row for one in kept})
    for one, row in zip(kept, rows, strict=True):
        if row.problem.id != one.problem_id:
            raise RunFailed(f"{path}: names a row that {source} does not have; delete it and run again")
        yield row if one.changed is None else _changed(one.changed, record, path, without)


def _changed(text: str, record: type[R], path: AnyPath, without: Collection[str]) -> R:
    try:
        return record.model_validate_json(text).model_copy(update=dict.fromkeys(without, ()))
    except ValidationError:
        raise RunFailed(
            f"{path}: damaged shard (a changed row cannot be read); delete this file and run again"
        ) from None
