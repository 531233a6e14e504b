"""Every example runs, and prints what it says."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import small_run

from stepforge.pipelines.settings.run_settings import folder_settings, read_run_file
from stepforge.schemas.errors import BadInput
from stepforge.schemas.own_part import OwnPart

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = EXAMPLES / "own_labeler"


def printed(name: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    runpy.run_path(str(EXAMPLES / name))["main"](*arguments)
    return capsys.readouterr().out.splitlines()


def test_solutions_of_ones_own_are_labeled(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = printed("label_own_solutions.py", capsys)
    assert right.startswith("correct: first error None")
    assert wrong.startswith("wrong: first error 1, values [")


def test_answers_are_graded_and_steps_cut(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("grade_and_cut.py", capsys)
    assert [line.split(":")[0] for line in lines[:3]] == ["correct", "correct", "wrong"]
    assert len(lines[3:]) == 3


def test_a_run_is_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    layout = small_run(tmp_path / "run")
    lines = printed("read_a_run.py", capsys, str(layout.folder))
    assert lines[0].endswith("solutions with a first error")
    assert any("DatasetDict" in line for line in lines)


def own_run(folder: Path, python_path: Path | None) -> subprocess.CompletedProcess[str]:
    path = [str(EXAMPLES.parent), *([str(python_path)] if python_path else [])]
    command = ["run", str(OWN / "run.toml"), "--out", str(folder), "--json", "--quiet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    return subprocess.run(
        [sys.executable, "-m", "stepforge", *command], env=environment, capture_output=True, text=True, timeout=240
    )


def test_a_labeler_of_ones_own_runs_on_workers_and_looking_does_not_import_it(tmp_path: Path) -> None:
    result = own_run(tmp_path / "run", OWN)
    assert result.returncode == 0, result.stderr
    assert list(json.loads(result.stdout)["labelers"]) == ["two_tries"]
    (part,) = folder_settings(tmp_path / "run" / "run.toml").label
    assert isinstance(part, OwnPart)
    assert part.name == "two_tries"
    assert "my_lab" not in sys.modules


def test_a_labeler_that_cannot_be_imported_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"label\.0: my_lab:TwoTries cannot be imported .* PYTHONPATH"):
        read_run_file(OWN / "run.toml")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("class Part: pass", "is no part"),
        ("from stepforge import Record\nclass Part(Record):\n    name: str = 'x'", "has no"),
        (
            "from stepforge import Record\nclass Part(Record):\n    name: str = 'x'\n"
            "    async def __call__(self, solved): ...",
            "does not take __call__",
        ),
    ],
)
def test_a_part_that_keeps_no_contract_is_refused(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"lab_of_{len(body)}"
    (tmp_path / f"{module}.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    run_file = tmp_path / "run.toml"
    run_file.write_text((OWN / "run.toml").read_text().replace("my_lab:TwoTries", f"{module}:Part"))
    with pytest.raises(BadInput, match=said):
        read_run_file(run_file)
