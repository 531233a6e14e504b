"""Usefulness as a command: settings, policies, trainers, and the whole benchmark in small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from imported_later import Later, torch

from benchmarks.usefulness.policy_bench import PolicyBench, check_trainer
from benchmarks.usefulness.pools import problems_of
from benchmarks.usefulness.prm_rows import PrmRow
from benchmarks.usefulness.settings import RowsFrom, read_settings
from stepforge.labelers import MathShepherd
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem

bench, tables = Later("benchmarks.usefulness.bench"), Later("benchmarks.usefulness.tables")
heads = Later("stepforge.pipelines.scorers.surprise_head")
REPOSITORY = Path(__file__).parents[2]


def test_rows_without_a_label_train_nothing() -> None:
    row = PrmRow(prompt="q", completions=("a",), labels=(None,))
    with pytest.raises(BadInput, match="nothing to train on"):
        heads.train_head([torch.zeros(1, len(heads.FEATURES))], [row.labels], heads.HeadTraining(steps=1), 1)


def test_committed_figures_are_read_and_written_the_same_and_printed() -> None:
    path = REPOSITORY / "benchmarks/results/usefulness.json"
    result = bench.read_result(path)
    assert bench.as_text(result) == path.read_text(encoding="utf-8")
    f1, low, high = next(r.f1 for r in result.reward_models if r.labels == "oracle")
    assert f"{f1:.3f} ({low:.3f} to {high:.3f})" in tables.tables(result)


def test_a_missing_trainer_is_one_clear_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    with pytest.raises(BadInput, match="no such file"):
        check_trainer(Path(sys.executable), script)
    script.touch()
    with pytest.raises(BadInput, match="TRL is not there"):
        check_trainer(tmp_path / "no-python", script)


def test_an_export_that_the_run_has_not_is_named(tmp_path: Path) -> None:
    settings = read_settings(REPOSITORY / "benchmarks/usefulness/usefulness_smoke.toml")
    bench = PolicyBench(settings, tmp_path, Path(sys.executable), print)
    with pytest.raises(BadInput, match=r"configs/dry_run.toml has no export kto"):
        bench.files(RowsFrom(export="kto"))


def test_policies_are_examined_on_no_problem_of_the_run(tmp_path: Path) -> None:
    settings = read_settings(REPOSITORY / "benchmarks/usefulness/usefulness_smoke.toml")
    pool = problems_of(settings.policy_exam["fresh"])
    write_shard(tmp_path / "run/problems/part-00000.parquet", pool[:1], Problem, {})
    bench = PolicyBench(settings, tmp_path, Path(sys.executable), print)
    assert bench.problems() == {"fresh": pool[1:]}


def test_settings_name_what_is_wrong(tmp_path: Path) -> None:
    text = (REPOSITORY / "benchmarks/usefulness/usefulness_smoke.toml").read_text()
    path = tmp_path / "settings.toml"
    path.write_text(text.replace("draws = 4", "drows = 4"))
    with pytest.raises(BadInput, match="drows"):
        read_settings(path)
    path.write_text(text.replace("[pools.many]", "[pools.few]"))
    with pytest.raises(BadInput, match="many is named and not described"):
        read_settings(path)
    path.write_text(text.replace('policy_run = "configs/dry_run.toml"\n', ""))
    with pytest.raises(BadInput, match="policies need policy_run"):
        read_settings(path)
    assert read_settings(REPOSITORY / "benchmarks/usefulness/usefulness.toml").held_out == ("number_theory", "sequence")


def run_smoke(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "benchmarks/usefulness/__main__.py", "--smoke", "--folder", str(folder / "kept")]
    command += ["--out", str(folder / "out.json"), *arguments]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HOME": str(folder)}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.slow
def test_the_whole_benchmark_on_the_scripted_engine(tmp_path: Path) -> None:
    done = run_smoke(tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "out.json").read_text())
    conditions = {row["condition"] for row in result["reward_models"]}
    assert {"same solutions", "whole pool", "same cost, sampling counted"} < conditions
    oracle = next(q for q in result["drawn"]["labels"] if q["labels"] == "oracle")
    assert oracle["first_error_accuracy"] == 1.0
    ceiling = {row["n"]: row["share_right"][0] for row in result["best_of_n"] if row["way"] == "any right"}
    for row in result["best_of_n"]:
        assert row["share_right"][0] <= ceiling[row["n"]] + 1e-9
    assert "## Reward models: same solutions" in done.stdout


@pytest.mark.slow
def test_bad_input_ends_with_one_line_and_two(tmp_path: Path) -> None:
    done = run_smoke(tmp_path, "--trl-python", str(tmp_path / "none"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("usefulness: --trl-python")
    assert not (tmp_path / "kept").exists()


def test_math_shepherd_is_a_labeler_of_the_settings() -> None:
    settings = read_settings(REPOSITORY / "benchmarks/usefulness/usefulness.toml")
    assert MathShepherd() in [named.part for named in settings.label]


PREPARED = """
import argparse, json, pathlib, sys
sys.path.insert(0, "benchmarks")
import usefulness_trl as script
arguments = argparse.Namespace(
    method="dpo", data=[(sys.argv[1], "0")], weights=pathlib.Path(sys.argv[2]), out=pathlib.Path(sys.argv[3]),
    next_step=sys.argv[4] == "yes", rate=1e-5, steps=1, batch=1, beta=0.1, sft_weight=0.0, seed=1,
)
trainer = script.trainer_of(arguments)
end = trainer.processing_class.eos_token_id
print(json.dumps([[row[c][-1] == end for c in ("chosen_ids", "rejected_ids")] for row in trainer.train_dataset]))
"""


@pytest.mark.slow
@pytest.mark.skipif("STEPFORGE_TRL_PYTHON" not in os.environ, reason="TRL has an environment of its own")
@pytest.mark.parametrize(("next_step", "closed"), [("yes", False), ("no", True)])
def test_trl_closes_solutions_and_not_single_steps(tmp_path: Path, next_step: str, closed: bool) -> None:
    pair = {"prompt": "Ann has 2 pens.\n", "chosen": "Ann = 2\n", "rejected": "Ann = 3\n", "certainty": 0.5}
    pq.write_table(pa.Table.from_pylist([pair]), tmp_path / "train-00000-of-00001.parquet")
    command = [os.environ["STEPFORGE_TRL_PYTHON"], "-c", PREPARED, str(tmp_path), str(embedded_folder())]
    done = subprocess.run(
        [*command, str(tmp_path / "out"), next_step], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[closed, closed]]
