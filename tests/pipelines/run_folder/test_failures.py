"""Rows that failed for an outside reason are redone by the same command, in whatever stage they failed."""

from pathlib import Path

import pytest

from stepforge.pipelines.run_folder.failures import take_back
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.labeled import Failure


@pytest.mark.parametrize("stage", ["generate", "solve", "label"])
def test_a_shard_is_redone_where_the_engine_failed_and_not_where_the_row_did(tmp_path: Path, stage: ShardStage) -> None:
    """``generate`` too: problems that a model was to write."""
    layout, committed = Layout(tmp_path), {stage: {0, 1, 2}}
    for index, errors in enumerate((["EngineFailed", "NotSampled"], ["NotSampled"], [])):
        write_shard(layout.shard(stage, index), [], Failure, {})
        rows = [Failure(problem_id=str(i), stage=stage, error=error, message="") for i, error in enumerate(errors)]
        if rows:
            write_shard(layout.failures(stage, index), rows, Failure, {})
    assert take_back(layout, {**Layout(tmp_path).committed(), **committed}) == 1
    assert Layout(tmp_path).committed()[stage] == {1, 2}
    assert not layout.failures(stage, 0).exists() and layout.failures(stage, 1).exists()
