"""The index for filtering and sorting lists: a few columns per problem, read from the committed shards.

Kept only in memory, some 50 bytes per problem. A shard is reread when its file changes, so a run is seen while it
grows.
"""

from collections.abc import Iterator

import polars as pl
from polars import selectors

from stepforge.pipelines.run_folder.failures import lost_problems
from stepforge.pipelines.run_folder.rows import ROW_RECORDS, ROW_STAGES, problem_ids
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves

STATES = ("labeled", "rejected", "failed", "solved", "generated")
"""What became of a problem; the last two are not labeled yet."""
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
COLUMNS = pl.Schema(
    {
        "shard": pl.Int32(),
        "stage": pl.Enum(ROW_STAGES),
        "row": pl.Int32(),
        "state": pl.Enum(STATES),
        "domain": pl.Categorical(),
        "right": pl.Int16(),
        "wrong": pl.Int16(),
        "undetermined": pl.Int16(),
        "found": pl.List(pl.Categorical()),  # the labelers that find a wrong step in some solution
        "abstained": pl.List(pl.Categorical()),
        "disagree": pl.Int16(),  # solutions on which two labelers name different steps
        "uncertainty": pl.Float32(),  # of the least certain solution: 1 minus the likeliest first error's probability
    }
)
EMPTY = pl.DataFrame(schema=COLUMNS)


def read_shard_rows(layout: Layout, shard: int) -> pl.DataFrame:
    """Return the problems of a shard at the latest stage that is committed, and those lost before at the last that has
    them.

    Raises FileNotFoundError: the shard is gone.
    """
    lost = {name: loss.how for name, loss in lost_problems(layout, shard).items()}
    parts: list[pl.DataFrame] = []
    for stage in ROW_STAGES:
        if not layout.shard(stage, shard).exists() or (parts and not lost):
            continue
        states = [lost.pop(name, None) for name in problem_ids(layout, stage, shard)] if lost else []
        if parts and not any(states):
            continue
        frame = stage_rows(layout, stage, shard)
        if states:
            how = pl.Series("state", states, COLUMNS["state"])
            frame = frame.with_columns(how.fill_null(frame["state"])).filter(how.is_not_null() | (not parts))
        parts.append(frame)
    if not parts:
        raise FileNotFoundError("it is gone")
    return pl.concat(parts)


def stage_rows(layout: Layout, stage: ShardStage, shard: int) -> pl.DataFrame:
    """Return the problems of a stage's shard, with ``COLUMNS``. Raises RunFailed: it is damaged."""
    leaves = read_leaves(layout.shard(stage, shard), LEAVES[stage], ROW_RECORDS[stage])
    table = pl.DataFrame(leaves).with_row_index("row")
    domain = pl.col("domain") if stage == "generate" else pl.col("problem").struct.field("domain")
    state = {"label": "labeled", "solve": "solved", "generate": "generated"}[stage]
    found = table.select("row", domain, shard=shard, stage=pl.lit(stage), state=pl.lit(state))
    facts: list[pl.DataFrame] = []
    if stage == "solve":
        facts = [_outcomes(table.select("row", rollout="rollouts").explode("rollout"))]
    elif stage == "label":
        solutions = table.select("row", one="solutions").explode("one").unnest("one").with_row_index("solution")
        surest = pl.col("verdict").struct.field("posterior").list.max()
        unsure = solutions.group_by("row").agg(uncertainty=(1 - surest).max())
        facts = [_outcomes(solutions), unsure, *_opinions(solutions)]
    for more in facts:
        found = found.join(more, "row", "left", maintain_order="left")
    known = found.cast({name: COLUMNS[name] for name in found.columns})
    whole = pl.concat([EMPTY, known], how="diagonal")
    return whole.with_columns(selectors.integer().fill_null(0), selectors.list().fill_null([]))


def _outcomes(rollouts: pl.DataFrame) -> pl.DataFrame:
    outcome = pl.col("rollout").struct.field("outcome")
    names = {"right": "correct", "wrong": "wrong", "undetermined": "undetermined"}
    return rollouts.group_by("row").agg(**{column: (outcome == name).sum() for column, name in names.items()})


def _opinions(solutions: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield, by row, what labelers say of its solutions, and on how many solutions they differ."""
    own = solutions.select("row", "solution", said="verdict")
    others = solutions.select("row", "solution", said="others").explode("said")
    said = pl.concat(
        one.select(
            "row", "solution", *(pl.col("said").struct.field(n) for n in ("labeler", "first_error", "abstained"))
        )
        for one in (own, others)
    )
    labeler, error = pl.col("labeler"), pl.col("first_error")
    yield said.group_by("row").agg(
        found=labeler.filter(error.is_not_null()).unique(), abstained=labeler.filter("abstained").unique()
    )
    speaking = said.filter(~pl.col("abstained")).group_by("row", "solution")
    verdicts = speaking.agg(verdicts=error.fill_null(-1).n_unique())
    yield verdicts.group_by("row").agg(disagree=(pl.col("verdicts") > 1).sum())
