"""Reward models and policies trained on labels: rows, the exam, intervals, settings, and TRL's part."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import a_solution, solved

from benchmarks.usefulness.policy_bench import ARMS, BASE, POOLS, PolicyBench, PolicyRow, check_trainer
from benchmarks.usefulness.prm_exam import Answers, Case, interval, padded_scores, targets
from stepforge.labelers.labeling import labeled_problem
from stepforge.pipelines.bench.measure import resamples
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.problem import Problem

REPOSITORY = Path(__file__).parents[2]


def test_a_head_learns_nothing_of_what_comes_after_the_first_error() -> None:
    row = solved(a_solution("right", "abc", "correct"), a_solution("wrong", "aBc", "wrong"))
    verdicts = [Verdict(labeler="x", first_error=error) for error in (None, 1)]
    rows = targets([labeled_problem("x", row, verdicts, None)])
    assert [learned for _, learned in rows] == [[1.0, 1.0, 1.0], [1.0, 0.0, None]]
    assert rows[1][0] == (row.problem.question, ("a", "B", "c"))


CASES = [
    Case(0, ("q", ("a", "b")), 1),
    Case(0, ("q", ("a", "c")), None),
    Case(1, ("q", ("a", "b")), 0),
    Case(1, ("q", ("a", "c")), None),
]


def test_f1_counts_exact_first_errors_and_clean_solutions() -> None:
    scores = [[0.9, 0.1], [0.9, 0.8], [0.9, 0.1], [0.1]]
    found = Answers(CASES, 2).tally(padded_scores(scores), 0.5)
    # One of two erroneous and one of two clean ones; all of the first problem's
    assert found.f1(np.array([[1.0, 1.0], [1.0, 0.0]])) == pytest.approx([0.5, 1.0])


def test_the_threshold_is_the_middle_of_the_best_ones() -> None:
    scores = padded_scores([[0.9, 0.2], [0.9, 0.8], [0.2, 0.9], [0.9, 0.9]])
    answers = Answers(CASES, 2)
    assert 0.2 < answers.best_threshold(scores) < 0.8
    assert answers.tally(scores, answers.best_threshold(scores)).f1(np.ones(2)) == 1.0


def test_resamples_pair_arms_and_begin_with_the_figure_itself() -> None:
    drawn = resamples([True] * 2, 200, 1)
    scores = ([[0.9, 0.1], [0.9, 0.8]] * 2, [[0.9, 0.9]] * 4)
    first, second = (Answers(CASES, 2).tally(padded_scores(s), 0.5).f1(drawn) for s in scores)
    gap, low, high = interval(first - second)
    assert gap == pytest.approx(2 / 3)
    assert low <= gap <= high


def bench_in(folder: Path) -> PolicyBench:
    pools = {"fresh": POOLS["left_out"]._replace(problems=4)}
    engine = ScriptedEngineSettings(error_rate=0.1)
    return PolicyBench(folder, Path(sys.executable), Path("configs/dry_run.toml"), ARMS[:1], pools, engine)


def test_policies_are_examined_on_no_problem_of_the_run(tmp_path: Path) -> None:
    pool = bench_in(tmp_path).problems["fresh"]
    assert len(pool) == 4
    write_shard(tmp_path / "run/problems/part-00000.parquet", pool[:1], Problem, {})
    assert bench_in(tmp_path).problems == {"fresh": pool[1:]}


def test_policies_are_sampled_once_before_and_after_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = tmp_path / "run/datasets/rejection_sampling"
    export.mkdir(parents=True)
    pq.write_table(pa.table({"prompt": ["a", "b"]}), export / "train-00000-of-00001.parquet")
    bench = bench_in(tmp_path)
    monkeypatch.setattr(bench, "train", lambda arm, seed: tmp_path / f"model-{seed}")

    async def run() -> list[PolicyRow]:
        async with PooledGrader() as grader:
            return await bench.run(grader)

    rows = asyncio.run(run())
    assert [(row.policy, row.decoding) for row in rows[:3]] == [
        (BASE, "temperature 1"), (BASE, "greedy"), ("SFT on right solutions", "temperature 1"),
    ]  # fmt: skip
    assert [row.training_rows for row in rows] == [0, 0, 2, 2]
    assert all(row.gain == (0, 0, 0) for row in rows), "the scripted engine is the same whatever was trained"
    assert 0 < rows[0].pass_at_1[0] <= 1
    assert len(list((tmp_path / "solved").rglob("*.parquet"))) == 2 * 4
    (tmp_path / "solved/greedy/before.parquet").unlink()
    assert asyncio.run(run()) == rows


def test_what_is_missing_or_wrong_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"configs/dry_run.toml has no export kto"):
        bench_in(tmp_path).files("kto")
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(BadInput, match="TRL is not there"):
        check_trainer(tmp_path / "no-python")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="no such file"):
        check_trainer(Path(sys.executable))


PREPARED = """
import json, sys
sys.path.insert(0, "benchmarks/usefulness")
import trl_policies as script
trainer = script.trainer_of(json.loads(sys.argv[1]))
end = trainer.processing_class.eos_token_id
print(json.dumps([[row[c][-1] == end for c in ("chosen_ids", "rejected_ids")] for row in trainer.train_dataset]))
"""


@pytest.mark.slow
@pytest.mark.skipif("STEPFORGE_TRL_PYTHON" not in os.environ, reason="TRL has an environment of its own")
@pytest.mark.parametrize("next_step", [True, False])
def test_trl_closes_solutions_and_not_single_steps(tmp_path: Path, next_step: bool) -> None:
    pair = {"prompt": "Ann has 2 pens.\n", "chosen": "Ann = 2\n", "rejected": "Ann = 3\n", "certainty": 0.5}
    (tmp_path / "step_preference").mkdir()
    pq.write_table(pa.Table.from_pylist([pair]), tmp_path / "step_preference/train-00000-of-00001.parquet")
    arm = ARMS[2]._replace(steps=1, next_step=next_step, sft_weight=0.0)
    places = {"datasets": str(tmp_path), "weights": str(embedded_folder()), "out": str(tmp_path / "out")}
    told = json.dumps({**arm._asdict(), **places, "seed": 1})
    command = [os.environ["STEPFORGE_TRL_PYTHON"], "-c", PREPARED, told]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[not next_step] * 2]
