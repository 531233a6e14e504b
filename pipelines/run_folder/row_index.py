"""The index for filtering and sorting lists: a few numbers per problem, read column by column from the committed
shards.

Kept only in memory, about 30 bytes per problem. A shard is reread when its file changes, so a run is seen while it
grows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepforge.pipelines.run_folder.failures import lost_problems
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import SolvedProblem

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]
STATES = ("labeled", "rejected", "failed", "solved", "generated")
"""What became of a problem; the last two are not labeled yet."""
Row = LabeledProblem | SolvedProblem | Problem
ROW_RECORDS: dict[ShardStage, type[Row]] = {"label": LabeledProblem, "solve": SolvedProblem, "generate": Problem}
"""The stages whose shards hold whole rows, the latest first."""
ROW_STAGES = tuple(ROW_RECORDS)
_SOLUTION = "solutions.list.element"
LEAVES: dict[ShardStage, list[str]] = {
    "label": [
        "problem.domain",
        f"{_SOLUTION}.rollout.outcome",
        *(f"{_SOLUTION}.verdict.{name}" for name in ("labeler", "first_error", "abstained", "posterior.list.element")),
        *(f"{_SOLUTION}.others.list.element.{name}" for name in ("labeler", "first_error", "abstained")),
    ],
    "solve": ["problem.domain", "rollouts.list.element.outcome"],
    "generate": ["domain"],
}
COLUMNS: dict[str, type[np.generic]] = {
    "stage": np.int8,  # place in ROW_STAGES
    "row": np.int32,
    "state": np.int8,  # place in STATES
    "domain": np.int16,
    "right": np.int16,
    "wrong": np.int16,
    "undetermined": np.int16,
    "found": np.int32,  # a bit for each labeler that finds a wrong step in some solution
    "abstained": np.int32,
    "disagree": np.int16,  # solutions on which two labelers name different steps
    "uncertainty": np.float32,  # of the least certain solution: 1 minus the likeliest first error's probability
}


WHOLE = pa.int64()


def to_numpy(array: Any, kind: Any = WHOLE) -> npt.NDArray[Any]:
    """Return an Arrow array as numbers, anything where it is null.

    Its own ``to_numpy`` and functions of a scalar would import pandas, which takes seconds.
    """
    cast = array.cast(kind)
    dtype = np.dtype(str(kind).replace("double", "float64"))
    return np.frombuffer(cast.buffers()[1] or b"", dtype)[cast.offset : cast.offset + len(cast)]


def flags(array: Any) -> npt.NDArray[np.bool_]:
    """Return an Arrow array of truth values; null is False."""
    values = to_numpy(array, pa.uint8()).astype(bool)
    return values & flags(array.is_valid()) if array.null_count else values


class Names:
    """Numbers for names, in order of first appearance."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, name: str) -> int:
        return self.known.setdefault(name, len(self.known))

    def numbers(self, column: Any) -> Ints:
        coded = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        coded = coded.dictionary_encode()
        known = np.array([self.number(name) for name in coded.dictionary.to_pylist()] or [0])
        found: Ints = known[to_numpy(coded.indices)]
        return found


class ShardRows(NamedTuple):
    shard: int
    columns: Mapping[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.columns["row"])


def read_shard_rows(layout: Layout, shard: int, domains: Names, labelers: Names) -> ShardRows:
    """Return the problems of a shard at the latest stage that is committed, and those lost before at the last that has
    them.

    Raises FileNotFoundError: the shard is gone.
    """
    lost = {name: STATES.index(loss.how) for name, loss in lost_problems(layout, shard).items()}
    parts: list[Columns] = []
    for stage in ROW_STAGES:
        if not layout.shard(stage, shard).exists() or (parts and not lost):
            continue
        states = np.array([lost.pop(name, -1) for name in problem_ids(layout, stage, shard)] if lost else [], np.int8)
        if parts and (states < 0).all():
            continue
        columns = stage_columns(layout, stage, shard, domains, labelers)
        if len(states):
            columns["state"] = np.where(states < 0, columns["state"], states)
        parts.append({name: column[states >= 0] for name, column in columns.items()} if parts else columns)
    if not parts:
        raise FileNotFoundError("it is gone")
    return ShardRows(shard, {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS})


def stage_columns(layout: Layout, stage: ShardStage, shard: int, domains: Names, labelers: Names) -> Columns:
    table = read_leaves(layout.shard(stage, shard), LEAVES[stage])
    columns: Columns = {name: np.zeros(table.num_rows, kind) for name, kind in COLUMNS.items()}
    columns["uncertainty"][:] = np.nan
    columns["stage"][:] = ROW_STAGES.index(stage)
    columns["row"][:] = np.arange(table.num_rows)
    columns["state"][:] = {"label": 0, "solve": 3, "generate": 4}[stage]
    columns["domain"][:] = domains.numbers(_field(table, "domain" if stage == "generate" else "problem.domain"))
    if stage == "label":
        _count_labeled(table, columns, labelers)
    elif stage == "solve":
        rollouts = _field(table, "rollouts")
        _count_outcomes(rollouts, rollouts.values.field("outcome"), columns)
    return columns


def _field(table: Any, path: str) -> Any:
    name, *rest = path.split(".")
    array = table[name].combine_chunks()
    for part in rest:
        array = array.field(part)
    return array


def _parents(lists: Any) -> Ints:
    """Return the index of the list that contains each element."""
    lengths = np.diff(to_numpy(lists.offsets))
    return np.repeat(np.arange(len(lengths)), lengths)


def _count_outcomes(lists: Any, outcomes: Any, columns: Columns) -> Ints:
    parents, names = _parents(lists), Names()
    numbers = names.numbers(outcomes)
    for column, outcome in (("right", "correct"), ("wrong", "wrong"), ("undetermined", "undetermined")):
        columns[column][:] = np.bincount(parents[numbers == names.number(outcome)], minlength=len(columns["row"]))
    return parents


def _count_labeled(table: Any, columns: Columns, labelers: Names) -> None:
    solutions = _field(table, "solutions")
    rows = _count_outcomes(solutions, solutions.values.field("rollout").field("outcome"), columns)
    verdicts, others = solutions.values.field("verdict"), solutions.values.field("others")
    own, of_others = np.arange(len(rows)), _parents(others)
    said = [_Said(verdicts, own, labelers), _Said(others.values, of_others, labelers)]
    lowest, highest = np.full(len(rows), 1 << 30), np.full(len(rows), -2)
    for one in said:
        np.bitwise_or.at(columns["found"], rows[one.solution[one.error >= 0]], one.bit[one.error >= 0])
        np.bitwise_or.at(columns["abstained"], rows[one.solution[one.abstained]], one.bit[one.abstained])
        speaks = ~one.abstained
        np.minimum.at(lowest, one.solution[speaks], one.error[speaks])
        np.maximum.at(highest, one.solution[speaks], one.error[speaks])
    columns["disagree"][:] = np.bincount(rows[lowest < highest], minlength=len(columns["row"]))
    posteriors = verdicts.field("posterior")
    surest = np.full(len(rows), np.nan)
    parents = _parents(posteriors)
    known = np.unique(parents)
    surest[known] = 0
    np.maximum.at(surest, parents, to_numpy(posteriors.values, pa.float64()))
    np.fmax.at(columns["uncertainty"], rows, (1 - surest).astype(np.float32))


class _Said:
    """Verdicts as arrays: of which solution, by whom, which step (-1: no wrong one), whether it abstains."""

    def __init__(self, verdicts: Any, solution: Ints, labelers: Names) -> None:
        self.solution = solution
        self.bit = np.left_shift(1, np.minimum(labelers.numbers(verdicts.field("labeler")), 30)).astype(np.int32)
        named = verdicts.field("first_error")
        self.error = np.where(flags(named.is_valid()), to_numpy(named), -1)
        self.abstained = flags(verdicts.field("abstained"))


def problem_ids(layout: Layout, stage: ShardStage, shard: int) -> Sequence[str]:
    column = "id" if stage == "generate" else "problem.id"
    ids: list[str] = _field(read_leaves(layout.shard(stage, shard), [column]), column).to_pylist()
    return ids
