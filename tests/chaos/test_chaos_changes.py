"""Settings that change between two commands: the folder ends as if it had been made with the new ones at once, and
nothing that was sampled before is sampled again."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from chaos import crashed, run
from chaos_runs import contents, labelers, vetting, write_run

from stepforge.pipelines.publishing.finished_run import check_up_to_date, finished_run
from stepforge.pipelines.storage.layout import Layout

CHANGES: dict[str, dict[str, Any]] = {
    "a threshold": {"vet": vetting(0.5)},
    "another labeler": {"label": [*labelers(), {"kind": "math_shepherd", "k": 3}]},
    "more solutions": {"solutions": 5},
    "a setting of the first labeler": {"label": labelers(budget=12)},
    "a curation filter less": {"curate": []},
    "another split": {"test_share": 0.6},
}


REPLAYED = ("another labeler", "more solutions", "a setting of the first labeler")
"""After these every shard is labeled again."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    run(write_run(folder), folder / "out")
    return folder / "out"


@pytest.fixture
def again(first: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return shutil.copytree(first, tmp_path / "again")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A run with a change from the beginning, by the change's name."""
    folder = tmp_path_factory.mktemp("fresh")

    @cache
    def made(name: str) -> Path:
        out = folder / name.replace(" ", "-")
        run(write_run(out.with_suffix(".changed"), **CHANGES[name]), out)
        return out

    return made


def sampled(folder: Path, known: set[str]) -> dict[str, int]:
    """Return the completions that the last session found, by stage."""
    sessions = [json.loads(path.read_text()) for path in (folder / "sessions").glob("*.json") if path.name not in known]
    return {stage: int(times["replayed"]) for session in sessions for stage, times in session["stages"].items()}


def completions(folder: Path) -> int:
    from stepforge.pipelines.storage.shards import row_count

    return sum(row_count(path) for path in (folder / "completions").rglob("*.parquet"))


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_redoes_only_what_depends_on_it(
    first: Path, again: Path, fresh: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    known = {file.name for file in (again / "sessions").glob("*.json")}
    run(write_run(tmp_path / "changed", **CHANGES[name]), again)
    assert contents(again) == contents(fresh(name))
    redone = sampled(again, known)
    assert "generate" not in redone
    assert completions(again) < completions(first) + completions(fresh(name))  # what both ask was sampled once
    if name in REPLAYED:
        assert redone["label"] > 0.3 * completions(first)
    if name != "more solutions":
        assert "solve" not in redone
    if name in ("a curation filter less", "another split"):
        assert set(redone) <= {"curate"}
        assert completions(again) == completions(first)


def test_a_change_that_is_taken_back_samples_nothing(first: Path, again: Path, tmp_path: Path) -> None:
    run(write_run(tmp_path / "changed", **CHANGES["another labeler"]), again)
    asked = completions(again)
    run(write_run(tmp_path / "back"), again)
    assert contents(again) == contents(first)
    assert completions(again) == asked


def test_a_shard_of_another_run_with_the_same_settings_is_refused(again: Path, tmp_path: Path) -> None:
    """Such as one that a sampler without fixed seeds has made: all digests of settings are equal."""
    from stepforge.pipelines.storage.shards import read_shard, shard_metadata, write_shard
    from stepforge.schemas.rollout import SolvedProblem

    path = Layout(again).shard("solve", 1)
    write_shard(path, read_shard(path, SolvedProblem)[::-1], SolvedProblem, shard_metadata(path))
    said = run(write_run(tmp_path / "same"), again, expect=1)
    assert f"{Layout(again).shard('vet', 1)}: was not made from {path}" in said
    Layout(again).shard("vet", 1).unlink()
    run(write_run(tmp_path / "same"), again)


def test_a_run_file_may_be_edited_by_hand(again: Path) -> None:
    from stepforge.pipelines.progress.status import fresh_report, open_run
    from stepforge.schemas.errors import BadInput

    path, text = again / "run.toml", (again / "run.toml").read_text()
    path.write_text("# mine\n" + text.replace("max_restarts = 3", "max_restarts = 5"))
    assert open_run(again)[0].workers.max_restarts == 5
    fresh_report(again)
    path.write_text(text.replace("seed = 7", "seed = 8"))
    with pytest.raises(BadInput, match="differs from the settings of the shards: seed"):
        open_run(again)
    assert "started with other settings: seed" in run(path, again, expect=2)
    path.write_text(text.replace("seed = 7", "sede = 7"))
    with pytest.raises(BadInput, match="sede: unknown setting, did you mean seed"):
        open_run(again)


def test_an_added_data_set_stays_when_the_run_goes_on(again: Path, tmp_path: Path) -> None:
    from stepforge.pipelines.commands.export import export_again

    export_again(again, ["kto"])
    run(write_run(tmp_path / "same"), again)
    settings, layout = finished_run(again)
    assert [export.name for export in settings.export] == ["stepwise", "step_preference", "kto"]
    check_up_to_date(settings, layout)
    assert "config_name: kto" in (again / "datasets/README.md").read_text()


def test_the_status_of_a_relabeled_folder_names_no_command_that_destroys_it(again: Path, tmp_path: Path) -> None:
    from stepforge.pipelines.commands.relabel import relabel
    from stepforge.pipelines.progress.status import run_status

    target, _ = relabel(again, "soft")
    assert (run_status(target).state, run_status(target).go_on) == ("finished", None)
    before = contents_of_relabeled(Path(str(target)))
    said = run(write_run(tmp_path / "same"), Path(str(target)), expect=2)
    assert "was made by `stepforge relabel`" in said
    assert contents_of_relabeled(Path(str(target))) == before
    (Path(str(target)) / "report.json").unlink()
    assert run_status(target).go_on == f"stepforge relabel {again} --rule soft"


def contents_of_relabeled(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("stage", ["solved", "labeled"])
def test_a_change_survives_a_kill_between_a_shard_and_those_made_from_it(
    again: Path, fresh: Callable[[str], Path], tmp_path: Path, stage: str
) -> None:
    path = write_run(tmp_path / "changed", **CHANGES["more solutions"])
    crashed(path, again, stage)
    run(path, again)
    assert contents(again) == contents(fresh("more solutions"))
    assert not Layout(again).unsettled.exists()
