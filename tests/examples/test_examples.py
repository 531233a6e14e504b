"""Every example runs, and prints what it says."""

import json
import os
import runpy
import sys
from pathlib import Path

import command_line
import pytest
from shared_ray import OWN_PARTS, joined
from small_run import small_run

import stepforge
from stepforge.pipelines.settings.run_settings import read_run_file
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


@pytest.mark.parametrize(
    ("name", "said"), [("process_bench", "has no row"), ("kto", "no data set 'kto'; there are: step")]
)
def test_a_data_set_that_is_not_there_is_told_from_an_empty_one(name: str, said: str, tmp_path: Path) -> None:
    run = stepforge.Run(small_run(tmp_path / "run", exports=["stepwise", "process_bench"]).folder)
    with pytest.raises(BadInput, match=said):
        run.dataset(name)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a labeler and an export of a user's own, on workers under Ray."""
    folder = tmp_path_factory.mktemp("own")
    run_file = folder / "run.toml"
    run_file.write_text((OWN / "run.toml").read_text() + '\n[[export]]\nkind = "first_errors:FirstErrors"\n')
    command = ["run", run_file, "--out", folder / "out", "--json", "--quiet"]
    result = command_line.stepforge(*command, env=os.environ | joined() | {"PYTHONPATH": OWN_PARTS})
    assert result.returncode == 0, result.stderr
    assert list(json.loads(result.stdout)["labelers"]) == ["two_tries"]
    return folder / "out"


def test_looking_at_a_run_imports_no_part_of_a_users_own(own: Path) -> None:
    run = stepforge.Run(own)
    (part,) = run.settings.label
    assert isinstance(part, OwnPart)
    assert part.name == "two_tries"
    assert run.report.exports["first_errors"].rows
    assert "kto" in [export.name for export in run.export("kto").settings.export]
    assert run.relabel("hard").report.labelers
    with pytest.raises(BadInput, match="only `stepforge run` imports and"):
        run.export("first_errors")
    assert not {"my_lab", "first_errors"} & set(sys.modules)


def test_a_labeler_that_cannot_be_imported_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"label\.0: my_lab:TwoTries cannot be imported .* PYTHONPATH"):
        read_run_file(OWN / "run.toml")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("class Part: pass", "is not a part"),
        ("class Parts: pass", r"there is no Part in .*lab_of_17\.py"),
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


def test_faults_of_an_own_part_speak_of_its_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(OWN)
    run_file = tmp_path / "run.toml"
    text = (OWN / "run.toml").read_text()
    for given, said in (
        (text.replace("tries = 3", "tris = 3"), r"label\.0\.tris: unknown setting, did you mean tries\?"),
        (text.replace("tries = 3", "budget = 3"), r"label\.0\.budget: unknown setting; there are name, tries$"),
        (text.replace("my_lab:TwoTries", "my_lab.TwoTries"), "named by its import path, MODULE:CLASS"),
    ):
        run_file.write_text(given)
        with pytest.raises(BadInput, match=said):
            read_run_file(run_file)
    sys.modules.pop("my_lab", None)
