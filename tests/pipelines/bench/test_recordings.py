"""A recording in one file: read and replayed, and refused in one line where it says too little."""

from pathlib import Path

import pytest
from scripted_rows import recorded, said_by_people

from stepforge.labelers import MathShepherd
from stepforge.pipelines.bench.bench import bench_labelers, bench_problems, recorded_problems
from stepforge.pipelines.bench.cases import replay
from stepforge.pipelines.bench.settings import read_bench_file
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem

REPOSITORY = Path(__file__).parents[3]
SMOKE = REPOSITORY / "pipelines/bench/labelers_smoke.toml"


def test_the_recording_in_the_repository_is_replayed_without_its_texts() -> None:
    problems = recorded_problems(REPOSITORY / "benchmarks/results/processbench_gsm8k.parquet")
    assert len(problems) == 34
    outcomes = replay(MathShepherd(k=4, right_solutions=False), problems, 1)
    assert any(judged.exact for outcome in outcomes for judged in outcome.judged)


def test_cascades_are_swept_beside_single_labelers() -> None:
    swept = read_bench_file(REPOSITORY / "benchmarks/cascades.toml").sweep
    assert {sweep.labeler["kind"] for sweep in swept} >= {"cascade", "reward_model", "change_point", "sequential"}


def test_a_recording_without_a_known_first_error_is_one_line(tmp_path: Path) -> None:
    clean = [said_by_people(row, None) for row in recorded()]
    write_shard(tmp_path / "clean.parquet", clean, LabeledProblem, {"stage": "label"})
    with pytest.raises(BadInput, match="no first error is known"):
        bench_labelers(SMOKE, tmp_path, tmp_path / "x.json", say=print, recordings=[tmp_path / "clean.parquet"])


def test_too_small_a_recording_is_one_line_and_several_count_together(tmp_path: Path) -> None:
    parts = [recorded()[:2], recorded()[2:4]]
    for name, rows in zip("ab", parts, strict=True):
        write_shard(tmp_path / name, rows, LabeledProblem, {"stage": "label"})
    paths = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(BadInput, match=r"a: 2 problems .* make a recording"):
        bench_labelers(SMOKE, tmp_path, tmp_path / "x.json", say=print, recordings=paths[:1])
    assert len(bench_problems(*paths)) == 4


def test_a_file_that_is_no_labeled_shard_is_not_called_damaged(tmp_path: Path) -> None:
    write_shard(tmp_path / "solved.parquet", recorded()[:1], LabeledProblem, {"stage": "solve"})
    for path in (SMOKE, tmp_path / "solved.parquet"):
        with pytest.raises(BadInput, match="not a labeled shard"):
            bench_labelers(SMOKE, tmp_path, tmp_path / "x.json", say=print, recordings=[path])
