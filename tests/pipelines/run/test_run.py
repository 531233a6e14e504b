"""Whole runs on the scripted engine, one of them under a real local Ray: books, resume after a kill, refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import report_of
from command_line import data_bytes, invoked, stepforge
from run_files import write_run_file

from stepforge.pipelines.storage.layout import FOLDERS, Layout
from stepforge.pipelines.storage.shards import read_columns

SETTINGS: dict[str, Any] = {
    "seed": 5,
    "problems": 30,
    "rows_per_shard": 6,
    "policy": {"answer": "stated"},
    "vet": [{"kind": "duplicates"}, {"kind": "difficulty", "min_pass_rate": 0.25}],
    "label": [{"kind": "omega_prm", "search_limit": 6}, {"kind": "math_shepherd", "k": 4}],
    "curate": [{"kind": "decided"}],
    "export": [{"kind": "stepwise"}, {"kind": "step_preference"}],
}


def run_file_in(folder: Path, *, workers: int = 1, **engine: float) -> Path:
    engines = {"error_rate": 0.1, "recovery_rate": 0.02, **engine}
    return write_run_file(folder, engine=engines, workers={"engine": workers, "shards_in_flight": 2}, **SETTINGS)


def labeled(folder: Path) -> list[dict[str, list[Any]]]:
    columns = ["problem", "solutions", "evidence", "policy", "costs"]
    return [read_columns(path, columns) for path in Layout(folder).shards("label")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(run_file_in(folder), folder / "out")
    return folder / "out"


def test_a_run_under_ray_writes_the_same_and_prints_its_report(finished: Path, tmp_path: Path) -> None:
    result = stepforge("run", run_file_in(tmp_path), "--out", tmp_path / "out", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == report_of(tmp_path / "out")
    assert labeled(tmp_path / "out") == labeled(finished)
    assert data_bytes(tmp_path / "out") == data_bytes(finished)


def test_the_books_balance_over_all_stages(finished: Path) -> None:
    stages = json.loads((finished / "report.json").read_text())["stages"]
    assert list(stages) == list(FOLDERS)
    rows = 30
    for total in stages.values():
        assert total["rows_in"] == rows
        assert rows == total["rows_out"] + sum(total["rejected"].values()) + sum(total["failures"].values())
        rows = total["rows_out"]
    rejected = sum(sum(total["rejected"].values()) for total in stages.values())
    kept_aside = [
        i for p in (finished / "rejected").rglob("*.parquet") for i in read_columns(p, ["problem_id"])["problem_id"]
    ]
    assert len(kept_aside) == rejected


def test_the_report_holds_what_it_promises(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    for name in ("omega_prm", "math_shepherd"):
        figures = report["labelers"][name]
        for key in (
            "first_error_accuracy",
            "correct_solution_accuracy",
            "processbench_f1",
            "step_auc_within_problem",
            "rollouts_per_solution",
            "generated_tokens_per_correct_first_error",
        ):
            assert isinstance(figures[key], float), key
        assert figures["by"]
    assert report["cost"]["rollouts"] == sum(stage["cost"]["rollouts"] for stage in report["stages"].values())
    assert report["exports"]["stepwise"]["rows"]["train"] > 0


def test_running_again_does_nothing_and_says_the_same(finished: Path, tmp_path: Path) -> None:
    before = data_bytes(finished)
    run(run_file_in(tmp_path), finished)
    assert data_bytes(finished) == before
    assert len(report_of(finished)["cost"]["sessions"]) == 1


@pytest.mark.slow
def test_more_problems_add_and_other_settings_are_refused(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    run_file = run_file_in(tmp_path)
    refused = stepforge("run", run_file, "--out", folder, "--set", "policy.temperature=0.5")
    assert refused.returncode == 2
    assert "started with other settings: policy.temperature" in refused.stderr
    first = labeled(folder)
    result = stepforge("run", run_file, "--out", folder, "--set", "problems=40", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["stages"]["generate"]["rows_out"] == 40
    assert labeled(folder)[: len(first)] == first


@pytest.mark.slow
def test_workers_and_kills_change_nothing_and_lose_nothing(finished: Path, tmp_path: Path) -> None:
    """SIGKILL of the driver half-way, then the same command with two workers: equal bytes, every problem once."""
    folder = tmp_path / "killed"
    run_file = run_file_in(tmp_path, workers=2)
    slow = [sys.executable, "-m", "stepforge", "run", str(run_file), "--out", str(folder), "--quiet"]
    kills = 0
    for wanted in (1, 4):
        process = subprocess.Popen(slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if len(Layout(folder).shards("label")) >= wanted:
                break
            time.sleep(0.02)
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = stepforge("run", run_file, "--out", folder)
    assert result.returncode == 0, result.stderr
    assert kills >= 1
    ids = Counter(p["id"] for shard in labeled(folder) for p in shard["problem"])
    assert set(ids.values()) == {1}
    assert labeled(folder) == labeled(finished)
    assert data_bytes(folder).keys() == data_bytes(finished).keys()


def test_truncations_and_engine_failures_never_become_errors(tmp_path: Path) -> None:
    folder = tmp_path / "faulty"
    patient = ("--set", "max_failure_share=0.1")  # a problem over which all four requests fail is a failure
    run(run_file_in(tmp_path, truncation_rate=0.2, failure_rate=0.2), folder, *patient)
    outcomes = report_of(folder)["stages"]["label"]["outcomes"]
    assert outcomes["undetermined"] == outcomes["finish error"] + outcomes["finish length"] > 0
    for shard in labeled(folder):
        for rollout in (r for rollouts in shard["evidence"] for r in rollouts):
            assert (rollout["outcome"] == "undetermined") == (rollout["finish"] != "stop")


def test_two_drivers_on_one_folder(finished: Path, tmp_path: Path) -> None:
    from stepforge.pipelines.run.driver import only_driver

    with only_driver(Layout(finished)):
        assert "another stepforge is running" in run(run_file_in(tmp_path), finished, expect=2)
        _, status = invoked("status", finished, "--json")
    assert json.loads(status)["state"] == "running"
    assert json.loads(invoked("status", finished, "--json")[1])["state"] == "finished"


def test_a_damaged_shard_is_named_and_mended_by_deleting_it(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    victim = Layout(folder).shards("label")[3]
    victim.write_bytes(victim.read_bytes()[:-100])
    result = stepforge("report", folder)
    assert result.returncode == 1
    assert f"{victim.name}: damaged shard" in result.stderr
    assert "Traceback" not in result.stderr
    victim.unlink()
    run(run_file_in(tmp_path), folder)
    assert labeled(folder) == labeled(finished)


def test_show_and_report_for_a_person(finished: Path) -> None:
    ids = [p["id"] for shard in labeled(finished) for p in shard["problem"]]
    code, shown = invoked("show", finished, ids[0])
    assert code == 0
    assert "truth:" in shown
    assert "omega_prm:" in shown
    assert invoked("show", finished, "nothing")[0] == 2
    assert invoked("report", finished, "--html")[0] == 0
    html = (finished / "report.html").read_text()
    assert "<script" not in html
    assert "omega_prm" in html


def test_load_dataset_from_the_folder(finished: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(str(finished / "datasets"), "stepwise", split="train", cache_dir=str(tmp_path))
    assert len(rows) == json.loads((finished / "report.json").read_text())["exports"]["stepwise"]["rows"]["train"]
    assert rows.features["labels"].feature.dtype == "bool"
