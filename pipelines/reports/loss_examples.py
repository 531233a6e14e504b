"""Examples of problems that did not become rows: a few for every stage and reason."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

from stepforge.pipelines.run_folder.ledger import StageTotal
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_rows
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.labeled import Failure, Rejected
from stepforge.schemas.record import Record

EACH = 2
REASONS = 12
"""Number of most common reasons per stage with examples."""
LONGEST = 300


class LossExample(Record):
    stage: ShardStage
    reason: str
    """As the stage's ``rejected`` or ``failures`` count it."""
    problem_id: str
    text: str
    """The beginning of its question, or of the error."""


def loss_examples(layout: Layout, stages: Mapping[ShardStage, StageTotal]) -> tuple[LossExample, ...]:
    """Return examples of every stage's most common reasons; shards are read until each has some."""
    kinds: tuple[tuple[str, type[Rejected | Failure]], ...] = (("rejected", Rejected), ("failures", Failure))
    return tuple(
        example
        for stage, total in stages.items()
        for folder, record in kinds
        for example in _some(layout.folder / folder / stage, record, stage, getattr(total, folder))
    )


def _some(
    folder: AnyPath, record: type[Rejected | Failure], stage: ShardStage, counts: Mapping[str, int]
) -> Iterator[LossExample]:
    ranked = sorted(counts, key=lambda reason: -counts[reason])[:REASONS]
    wanted = Counter({reason: min(EACH, counts[reason]) for reason in ranked})
    paths: list[AnyPath] = sorted(folder.glob("part-[0-9]*.parquet"), key=lambda path: path.name)
    for row in chain.from_iterable(read_rows(path, record) for path in paths):
        if not wanted.total():
            return
        reason = _reason(row, wanted)
        if wanted[reason] > 0:
            wanted[reason] -= 1
            text = _question(row.row) if isinstance(row, Rejected) else row.message
            yield LossExample(stage=stage, reason=reason, problem_id=row.problem_id, text=text[:LONGEST])


def _reason(row: Rejected | Failure, wanted: Counter[str]) -> str:
    if isinstance(row, Failure):
        return row.error
    return row.filter if row.filter in wanted else f"{row.filter}: {row.reason}"  # malformed rows count as one


def _question(row: str) -> str:
    """The question of a row that was set aside, whichever record it is."""
    value = json.loads(row)
    problem = value.get("problem", value) if isinstance(value, dict) else {}
    return str(problem.get("question", "")) if isinstance(problem, dict) else ""
