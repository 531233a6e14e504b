"""Rounds: the policy that one round trains is the next one's; a stopped sequence goes on where it was."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_files
from imported_later import Later

from stepforge.pipelines.commands.rounds import rounds_text, run_rounds, trained, trained_scorer
from stepforge.pipelines.reports.records import DatasetRows
from stepforge.pipelines.run_folder.ledger import StageTotal
from stepforge.pipelines.scorers import QwenPrm, Surprise
from stepforge.pipelines.settings.run_file import RunFile, Training
from stepforge.schemas.errors import BadInput, RunFailed

heads = Later("stepforge.pipelines.scorers.surprise_head")
TRAIN = "import pathlib, sys; out = pathlib.Path(sys.argv[1]); (out / 'config.json').write_text(sys.argv[2])"


def a_run(**changes: Any) -> RunFile:
    train = {"command": ["{python}", "-c", TRAIN, "{out}", "{model} on {data}"]}
    settings = {"engine": {"kind": "transformers"}, "export": [{"kind": "stepwise"}], "train": train}
    return run_files.a_run(**settings | changes)


class Runs:
    """Stands for ``run_all``: notes what it is asked, and reports a policy that gets better."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, str]] = []

    def __call__(self, run: RunFile, folder: Path) -> Any:
        folder.mkdir(parents=True, exist_ok=True)
        self.asked.append((run.engine.model or "", run.seed, folder.name))
        right = 50 + 10 * len(self.asked)
        label = SimpleNamespace(first_error_accuracy=0.9, correct_solution_accuracy=0.95)
        by = {"base rate: at least 0.4": label}
        return SimpleNamespace(
            stages={"solve": StageTotal(outcomes={"correct": right, "wrong": 100 - right, "undetermined": 3})},
            labelers={"omega_prm": SimpleNamespace(by=by, generated_tokens_per_solution=7.0)},
            cost=SimpleNamespace(generated_tokens=12345),
            exports={"stepwise": DatasetRows(kind="stepwise", rows={"train": 60, "test": 4})},
        )


def test_every_round_has_the_model_that_the_last_one_trained(tmp_path: Path) -> None:
    runs = Runs()
    done = run_rounds(a_run(), tmp_path, 3, runs)
    models = [model for model, _, _ in runs.asked]
    assert models == ["embedded", str(tmp_path / "round-01" / "model"), str(tmp_path / "round-02" / "model")]
    assert [folder for _, _, folder in runs.asked] == ["round-01", "round-02", "round-03"]
    assert len({seed for _, seed, _ in runs.asked}) == 3
    told = (tmp_path / "round-02" / "model" / "config.json").read_text()
    assert told == f"{tmp_path}/round-01/model on {tmp_path}/round-02/datasets"
    assert not (tmp_path / "round-03" / "model").exists()
    assert [r.pass_rate for r in done] == [0.6, 0.7, 0.8]
    assert done[0].pass_low is not None
    assert done[0].pass_low < 0.6
    assert json.loads((tmp_path / "rounds.json").read_text())[1]["rows"] == {"stepwise": 60}
    assert "0.700 (0." in rounds_text(done)


def test_training_is_done_once(tmp_path: Path) -> None:
    run_rounds(a_run(), tmp_path, 2, Runs())
    spoilt = a_run(train={"command": ["false"]})
    assert len(run_rounds(spoilt, tmp_path, 2, Runs())) == 2


@pytest.mark.parametrize(
    ("command", "message"),
    [(("{python}", "-c", "raise SystemExit(3)"), "ended with 3"), (("{python}", "-c", "pass"), "left no config.json")],
)
def test_a_training_that_fails_names_its_log_and_leaves_no_model(
    tmp_path: Path, command: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RunFailed, match=rf"{message}.*train.log"):
        trained(command, tmp_path, "embedded")
    assert not (tmp_path / "model").exists()
    assert (tmp_path / "train.log").exists()


def test_what_cannot_have_rounds(tmp_path: Path) -> None:
    for changes, message in (
        ({"engine": {"kind": "scripted"}}, "cannot load another model"),
        ({"export": []}, "nothing is listed under"),
    ):
        with pytest.raises(BadInput, match=message):
            run_rounds(a_run(**changes), tmp_path, 2, Runs())


@pytest.mark.slow
def test_the_default_trainer_learns_what_it_is_given(tmp_path: Path) -> None:
    """On right solutions alone, the loss on them falls, and the model loads and answers."""
    from stepforge.generators.families import ALL_FAMILIES

    problems = [ALL_FAMILIES[0]().item(77, i) for i in range(64)]
    rows = {
        "prompt": [f"{p.question}\n" for p in problems],
        "completion": [f"The answer is {p.answer}.\n" for p in problems],
    }
    folder = tmp_path / "datasets" / "rejection_sampling"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(rows), folder / "train-00000-of-00001.parquet", write_page_checksum=True)
    model = trained((*Training().command, "--epochs", "10", "--rate", "5e-4"), tmp_path, "embedded")
    losses = [
        float(line.rsplit(" ", 1)[1]) for line in (tmp_path / "train.log").read_text().splitlines() if "loss" in line
    ]
    assert losses[-1] < losses[0] / 2
    code = f"from transformers import AutoModelForCausalLM; AutoModelForCausalLM.from_pretrained({str(model)!r})"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
    assert (model / "tokenizer.json").exists()


@pytest.mark.slow
def test_the_reward_model_of_a_round_is_trained_on_the_round_before(tmp_path: Path) -> None:
    rows = {
        "prompt": ["What is 2 + 3?"] * 3,
        "completions": [["2 + 3 = 5", "Answer: 5"]] * 3,
        "first_error": [-1, 0, 1],
    }
    place = tmp_path / "round-01"
    (place / "datasets" / "stepwise").mkdir(parents=True)
    pq.write_table(pa.table(rows), place / "datasets" / "stepwise" / "train-00000.parquet", write_page_checksum=True)
    given = Surprise(model="embedded")
    found = trained_scorer(given, place, "embedded")
    assert isinstance(found, Surprise) and found.head == str(place / "scorer")
    assert heads.SurpriseHead.load(place / "scorer")
    again = trained_scorer(given, place, "embedded")
    assert again == found, "what is trained is not trained again"
    other = QwenPrm(model="x/y")
    assert trained_scorer(other, place, "embedded") is other
    with pytest.raises(RunFailed, match=r"train-scorer\.log"):
        (tmp_path / "round-02").mkdir()
        trained_scorer(given, tmp_path / "round-02", "embedded")
