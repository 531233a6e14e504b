"""A recording without its texts says what completions came to, and nothing of what was written."""

import json
from pathlib import Path

import numpy as np
from scripted_rows import recorded, said_by_people

from benchmarks.without_texts import without_texts
from stepforge.labelers import ChangePoint, MathShepherd
from stepforge.labelers.evidence.replay import completions_by_prefix, stored_evidence
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.pipelines.bench.bench import recorded_problems
from stepforge.pipelines.bench.cases import bench_problem, replay
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.labeled import LabeledProblem


def test_texts_are_gone_and_outcomes_stay() -> None:
    for row in recorded():
        bare = without_texts(row)
        written = json.dumps(bare.model_dump(mode="json"))
        assert row.problem.question not in written
        for rollout in (*(s.rollout for s in row.solutions), *row.evidence):
            assert all(step.text.strip() not in written for step in rollout.steps if len(step.text) > 12)
        before, after = (completions_by_prefix(one) for one in (row, bare))
        assert sorted(len(v) for v in before.values()) == sorted(len(v) for v in after.values())
        assert [r.outcome for v in before.values() for r in v] == [r.outcome for v in after.values() for r in v]


def test_a_labeler_that_reads_no_text_says_the_same(tmp_path: Path) -> None:
    part = MathShepherd(k=4, right_solutions=False)
    rows = [said_by_people(row, 1) for row in recorded()]
    write_shard(tmp_path / "bare.parquet", [without_texts(row) for row in rows], LabeledProblem, {"stage": "label"})
    bare = recorded_problems(tmp_path / "bare.parquet")
    whole = [problem for problem in map(bench_problem, rows) if problem is not None]
    assert len(bare) == len(whole) > 2
    said = [[[j.verdict.first_error for j in o.judged] for o in replay(part, ps, 1)] for ps in (bare, whole)]
    assert said[0] == said[1]


def test_results_that_right_rollouts_state_stay() -> None:
    rows = [said_by_people(row, 1) for row in recorded()]
    counts = [
        ChangePoint().observed(solution_trajectory(s.rollout), stored_evidence(row)).results
        for row in (*rows, *map(without_texts, rows))
        for s in row.solutions
        if s.rollout.outcome == "wrong"
    ]
    half = len(counts) // 2
    assert any(one is not None and one.max() > 0 for one in counts[:half])
    assert all(np.array_equal(a, b) for a, b in zip(counts[:half], counts[half:], strict=True))  # type: ignore[arg-type]
