"""A recording without its texts says what completions came to, and nothing of what was written."""

import json
from pathlib import Path

import pytest
from scripted_rows import scripted_rows

from benchmarks.without_texts import without_texts
from stepforge.labelers import MathShepherd
from stepforge.labelers.evidence.replay import completions_by_prefix
from stepforge.pipelines.bench.bench import bench_labelers, recorded_problems
from stepforge.pipelines.bench.cases import bench_problem, replay
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import PeopleLabel

SMOKE = Path(__file__).parents[2] / "pipelines/bench/labelers_smoke.toml"


def recorded() -> list[LabeledProblem]:
    return scripted_rows([MathShepherd(k=4, root=4, right_solutions=False)], 8)


def blamed(row: LabeledProblem, step: int | None) -> LabeledProblem:
    solutions = [
        s.model_copy(update={"rollout": s.rollout.model_copy(update={"people": PeopleLabel(first_error=step)})})
        for s in row.solutions
    ]
    return row.model_copy(update={"solutions": tuple(solutions)})


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
    rows = [blamed(row, 1) for row in recorded()]
    write_shard(tmp_path / "bare.parquet", [without_texts(row) for row in rows], LabeledProblem, {"stage": "label"})
    bare = recorded_problems(tmp_path / "bare.parquet")
    whole = [problem for problem in map(bench_problem, rows) if problem is not None]
    assert len(bare) == len(whole) > 2
    said = [[[j.verdict.first_error for j in o.judged] for o in replay(part, ps, 1)] for ps in (bare, whole)]
    assert said[0] == said[1]


def test_a_recording_without_a_known_first_error_is_one_line(tmp_path: Path) -> None:
    clean = [without_texts(blamed(row, None)) for row in recorded()]
    write_shard(tmp_path / "bare.parquet", clean, LabeledProblem, {"stage": "label"})
    with pytest.raises(BadInput, match="no first error is known"):
        bench_labelers(SMOKE, tmp_path, tmp_path / "x.json", say=print, recording=tmp_path / "bare.parquet")


def test_too_small_a_recording_is_one_line(tmp_path: Path) -> None:
    write_shard(tmp_path / "bare.parquet", recorded()[:2], LabeledProblem, {"stage": "label"})
    with pytest.raises(BadInput, match="make a recording"):
        bench_labelers(SMOKE, tmp_path, tmp_path / "x.json", say=print, recording=tmp_path / "bare.parquet")


def test_a_file_that_is_no_labeled_shard_is_not_called_damaged(tmp_path: Path) -> None:
    write_shard(tmp_path / "solved.parquet", recorded()[:1], LabeledProblem, {"stage": "solve"})
    for path in (SMOKE, tmp_path / "solved.parquet"):
        with pytest.raises(BadInput, match="not a labeled shard"):
            bench_labelers(SMOKE, tmp_path, tmp_path / "x.json", say=print, recording=path)
