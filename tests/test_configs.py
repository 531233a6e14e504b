"""The run files in configs/ are valid, and those for a real model run from end to end on a few rows without one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import report_of

from benchmarks.processbench_answers import with_answers
from stepforge.pipelines.settings.run_settings import read_run_file

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))
FIXTURES = ROOT / "tests" / "fixtures"
SHARED = Path(os.environ.get("STEPFORGE_SHARED_DATA", ROOT.parent / "shared" / "data"))
FEW = {"gsm8k": "gsm8k_few.jsonl", "math": "math500_few.jsonl", "processbench": "processbench_few.jsonl"}
MANY = {
    "gsm8k": ("gsm8k_test_600.jsonl", 600),
    "math": ("math_train_1000.jsonl", 1000),
    "processbench": ("processbench_gsm8k_200.jsonl", 192),
}
NO_MODEL = (
    "engine={kind = 'scripted'}",
    "policy.chat=false",
    "policy.segmenter={kind = 'line'}",
    "vet=[]",
    "watch.least_pass_rate=0",
    "watch.most_identical=1",
    "solutions=2",
)
"""The scripted engine cannot solve these problems, so no pass rate is asked for."""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_run_file_is_valid(path: Path) -> None:
    settings = read_run_file(path)
    assert settings.label
    assert settings.export
    assert f"configs/{path.name}" in path.read_text() or path.stem == "dry_run"


@pytest.mark.parametrize("name", FEW)
def test_a_dry_run_labels_and_exports_a_few_rows(name: str, tmp_path: Path) -> None:
    report = dry_run(name, FIXTURES / FEW[name], tmp_path)
    rows = sum(1 for line in (FIXTURES / FEW[name]).read_text().splitlines() if line)
    assert report["stages"]["label"]["rows_out"] == rows
    assert {"change_point", "omega_prm"} <= set(report["labelers"])
    assert report["cost"]["rollouts"] > 0
    assert bool(report["people"]) == (name == "processbench")


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY)
def test_a_dry_run_reads_the_whole_data(name: str, tmp_path: Path) -> None:
    file, problems = MANY[name]
    if not (SHARED / file).is_file():
        pytest.skip(f"{file} is not there: set STEPFORGE_SHARED_DATA to its folder")
    assert dry_run(name, SHARED / file, tmp_path)["stages"]["label"]["rows_out"] == problems


def dry_run(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Run a run file with the scripted engine; return its report."""
    settings = [f"--set={setting}" for setting in (*NO_MODEL, f"generate.0.path={data}")]
    run(ROOT / "configs" / f"{name}.toml", folder / "out", *settings)
    return report_of(folder / "out")


def test_reference_answers_are_found_by_question(tmp_path: Path) -> None:
    labeled, problems = tmp_path / "labeled.json", tmp_path / "problems.jsonl"
    labeled.write_text(json.dumps([{"problem": "One  and\none?", "label": -1}, {"problem": "Unknown?", "label": 0}]))
    problems.write_text('{"question": "One and one?", "answer": "1+1=2\\n#### 2"}\n')
    assert with_answers(labeled, problems, "question", "answer") == (
        [{"problem": "One  and\none?", "label": -1, "answer": "1+1=2\n#### 2"}],
        1,
    )
