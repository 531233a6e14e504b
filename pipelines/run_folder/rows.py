"""The stages whose shards hold whole rows, and which problems they are."""

from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import SolvedProblem

Row = LabeledProblem | SolvedProblem | Problem
ROW_RECORDS: dict[ShardStage, type[Row]] = {"label": LabeledProblem, "solve": SolvedProblem, "generate": Problem}
"""The latest stage first."""
ROW_STAGES = tuple(ROW_RECORDS)


def problem_ids(layout: Layout, stage: ShardStage, shard: int) -> list[str]:
    column = "id" if stage == "generate" else "problem.id"
    rows = read_leaves(layout.shard(stage, shard), [column]).to_pylist()
    return [str(row.get("problem", row)["id"]) for row in rows]
