"""One driver a folder, one set of settings a folder: whoever comes second, late, or with other wishes is refused."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from chaos import Attempt, Reference, run
from chaos_runs import EXPORT, GENERATE, labelers, left_behind, vetting, write_run

from stepforge.filters import Corpus
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.shard_work import ShardWork
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.run_folder.plan import plan_shards
from stepforge.pipelines.run_folder.settings_guard import check_unchanged, guard_settings
from stepforge.pipelines.settings.run_settings import read_run_file
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput, RunFailed


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(tmp_path_factory.mktemp("drivers"), latency=60)


def until(there: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def refusals(slow: Reference, folder: Path, tries: int) -> list[float]:
    """Start drivers on a folder while another is at work there; return how long each took to give up."""
    seconds: list[float] = []
    runs = 0
    while len(seconds) < tries:
        out = folder / f"run-{runs}"
        runs += 1
        first = Attempt("run", slow.run_file, "--out", out, "--quiet", out=folder / "first")
        until(lambda out=out: (out / "plan.json").exists())  # type: ignore[misc]
        while len(seconds) < tries:
            began = time.monotonic()
            second = Attempt("run", slow.run_file, "--out", out, "--quiet", out=folder / "second")
            code = second.wait()
            if first.process.exitcode is not None:
                break  # the first one may have been through before the second one came
            assert code == 2, second.said
            assert f"{out}: another stepforge is running in this folder" in second.said
            assert "Traceback" not in second.said
            seconds.append(time.monotonic() - began)
        assert first.wait() == 0, first.said
        slow.check(out)
    return seconds


@pytest.mark.parametrize("tries", [4, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_the_second_driver_is_refused(slow: Reference, tmp_path: Path, tries: int, tell: Callable[[str], None]) -> None:
    seconds = refusals(slow, tmp_path, tries)
    assert len(seconds) == tries
    tell(
        f"two drivers on one folder, {len(seconds)} tries: refused every time, after {min(seconds):.1f} to "
        f"{max(seconds):.1f} s (median {median(seconds):.1f}, process start included); 0 runs differ"
    )


@pytest.mark.parametrize("tries", [1, pytest.param(25, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_of_drivers_that_come_together_one_works(slow: Reference, tmp_path: Path, tries: int) -> None:
    for number in range(tries):
        out = tmp_path / f"run-{number}"
        both = [Attempt("run", slow.run_file, "--out", out, "--quiet", out=tmp_path / f"said-{i}") for i in range(3)]
        codes = sorted(attempt.wait() for attempt in both)
        assert codes == [0, 2, 2], [attempt.said for attempt in both]
        slow.check(out)


def test_an_orphan_commits_nothing_into_the_next_drivers_folder(slow: Reference, tmp_path: Path) -> None:
    settings, layout = read_run_file(slow.run_file), Layout(tmp_path / "out")
    layout.folder.mkdir()
    with only_driver(layout) as killed:
        (shard, *_) = plan_shards(settings, layout.folder)
        orphan = ShardWork(settings, layout.folder, PooledGrader(), None, killed)
    with only_driver(layout) as session:
        with pytest.raises(RunFailed, match="another stepforge has taken over this folder"):
            asyncio.run(orphan.do("generate", shard, Corpus()))
        assert not layout.shards("generate")
        assert left_behind(layout.folder) == []
        asyncio.run(ShardWork(settings, layout.folder, PooledGrader(), None, session).do("generate", shard, Corpus()))
        assert len(layout.shards("generate")) == 1


CHANGES: dict[str, dict[str, Any]] = {
    "seed": {"seed": 8},
    "rows_per_shard": {"rows_per_shard": 5},
    "engine.error_rate": {"engine": {"error_rate": 0.3}},
    "policy.temperature": {"policy": {"answer": "stated", "temperature": 0.5}},
    "generate.0.kind": {"generate": [{"kind": "number_theory"}, GENERATE[1]]},
}
ADDITIONS: dict[str, dict[str, Any]] = {
    "problems": {"problems": 16},
    "workers": {"workers": 2},
    "export": {"export": [{"kind": "preference"}, *EXPORT]},
    "solutions": {"solutions": 4},
    "test_share": {"test_share": 0.4},
    "label.0.budget": {"label": labelers(budget=9)},
    "vet.1.min_pass_rate": {"vet": vetting(0.2)},
    "curate": {"curate": []},
    "max_failure_share": {"max_failure_share": 0.5},
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_setting_is_refused_by_name(tmp_path: Path, key: str) -> None:
    layout = Layout(tmp_path)
    guard_settings(read_run_file(write_run(tmp_path / "a")), layout)
    write_text(layout.shard("solve", 0), "")
    before = layout.run_file.read_bytes()
    with pytest.raises(BadInput, match=rf"started with other settings: .*{key}"):
        guard_settings(read_run_file(write_run(tmp_path / "b", **CHANGES[key])), layout)
    assert layout.run_file.read_bytes() == before


@pytest.mark.parametrize("key", CHANGES)
def test_a_folder_without_samples_takes_a_changed_setting(tmp_path: Path, key: str) -> None:
    layout = Layout(tmp_path)
    run = read_run_file(write_run(tmp_path / "a"))
    guard_settings(run, layout)
    plan_shards(run, tmp_path)
    for written in (layout.shard("generate", 0), layout.rejected("generate", 0), tmp_path / "models.json"):
        write_text(written, "")
    changed = read_run_file(write_run(tmp_path / "b", **CHANGES[key]))
    guard_settings(changed, layout)
    assert not [*tmp_path.rglob("*.parquet"), *tmp_path.glob("models.json")]
    assert plan_shards(changed, tmp_path)
    check_unchanged(changed, layout)


@pytest.mark.parametrize("key", ADDITIONS)
def test_what_adds_or_can_be_made_again_is_taken(tmp_path: Path, key: str) -> None:
    layout = Layout(tmp_path)
    guard_settings(read_run_file(write_run(tmp_path / "a")), layout)
    guard_settings(read_run_file(write_run(tmp_path / "b", **ADDITIONS[key])), layout)


def test_a_refused_command_leaves_the_folder_as_it_was(slow: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(slow.run_file, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    said = run(write_run(tmp_path / "other", **CHANGES["seed"]), out, expect=2)
    assert "started with other settings:" in said
    assert "seed" in said
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"} == before


def test_problems_may_be_added_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    source = {"kind": "problem_set", "path": str(file), "answer": "answer"}
    path = write_run(tmp_path, generate=[*GENERATE, source])
    rows = [json.dumps({"question": f"{i} + 1?", "answer": str(i + 1)}) + "\n" for i in range(9)]
    file.write_text("".join(rows[:6]))
    plan = plan_shards(read_run_file(path), tmp_path)
    file.write_text("".join(rows))
    assert plan_shards(read_run_file(path), tmp_path)[: len(plan)] == plan
    kept = (tmp_path / "plan.json").read_bytes()
    file.write_text("".join(rows[1:]))
    with pytest.raises(BadInput, match=r"set\.jsonl: has changed since the run began"):
        plan_shards(read_run_file(path), tmp_path)
    assert (tmp_path / "plan.json").read_bytes() == kept
