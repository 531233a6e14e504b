"""Whole runs on the scripted engine, one of them under a real local Ray: books, resume after a kill, refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import report_of
from command_line import data_bytes, invoked, stepforge
from run_files import write_run_file

from stepforge.pipelines.storage.layout import Layout
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
