"""What is refused before anything is sent: unfinished or damaged runs, and strange files."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_setup import REPO, dataset_of, holds_exactly, published, quick_hub
from loopback_hub import TOKEN, LoopbackHub
from pyarrow.fs import LocalFileSystem
from small_run import small_run

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.publishing.local_dataset import read_dataset
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import StorePath
from stepforge.schemas.errors import BadInput

PART = "datasets/stepwise/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    small_run(folder, problems=8)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with quick_hub(monkeypatch) as hub:
        yield hub


def test_an_untouched_copy_is_fit_to_be_published(run: Path, hub: LoopbackHub) -> None:
    assert f"published {REPO} v1" in published(run)


def cut_short(run: Path) -> None:
    path = run / PART
    path.write_bytes(path.read_bytes()[:-100])


def other_rows(run: Path) -> None:
    shutil.copy(run / "datasets/stepwise/test-00000-of-00001.parquet", run / PART)


def half_a_split(run: Path) -> None:
    path = run / PART
    path.rename(path.with_name("train-00000-of-00002.parquet"))
    stamp = run / "exports" / "stepwise.json"
    made = read_checksummed(stamp)
    files = {name.replace("train-00000-of-00001", "train-00000-of-00002"): size for name, size in made["files"].items()}
    write_checksummed(stamp, {**made, "files": files})


def other_figures(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    report["exports"]["stepwise"]["rows"]["train"] += 1
    (run / "report.json").write_text(json.dumps(report))


def newer_shards(run: Path) -> None:
    os.utime(run / "curated" / "part-00000.parquet", ns=(0, 0))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "curated" / "part-00001.parquet").unlink(), "the run is not finished"),
        (lambda run: (run / "report.json").unlink(), "the run is not finished"),
        (lambda run: (run / "report.json").write_text("{"), "report.json: missing or damaged"),
        (other_figures, "report.json: older than the data sets"),
        (lambda run: (run / "run.toml").unlink(), "not a run folder"),
        (lambda run: (run / PART).unlink(), "stepwise not made from the curated shards as they are now"),
        (lambda run: shutil.rmtree(run / "datasets"), "not made from the curated shards"),
        (newer_shards, "stepwise, step_preference, preference not made from the curated shards"),
        (cut_short, "not made from the curated shards"),
        (other_rows, "not made from the curated shards"),
        (half_a_split, "files of the train split are missing"),
        (lambda run: (run / "datasets" / "README.md").unlink(), "README.md: missing"),
        (lambda run: (run / "datasets" / "README.md").write_text("# Hello\n"), "README.md: does not describe"),
        (lambda run: (run / "datasets" / "README.md").write_text("---\na: [\n---\n"), "not a card that can be read"),
        (lambda run: (run / "datasets" / "notes.docx").write_text("x"), "notes.docx: not a file of a data set"),
        (lambda run: (run / "datasets" / "more.parquet").write_text("x"), "more.parquet: belongs to no export"),
        (lambda run: (run / "datasets" / "SHA256SUMS").write_text("x"), "SHA256SUMS: is written while publishing"),
        (lambda run: (run / "datasets" / "a b.md").write_text("x"), "a name that does not belong"),
        (lambda run: (run / "datasets" / "link.md").symlink_to("/etc/passwd"), "link.md: a symbolic link"),
        (lambda run: (run / "datasets" / "secret.md").write_text(f"it is {TOKEN}"), "secret.md: holds the Hub token"),
        (lambda run: (run / PART).with_suffix(".jsonl").write_text('{"a": 1}\n{"b'), "jsonl: damaged at line 2"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(run: Path, hub: LoopbackHub, spoil: Callable[[Path], object], said: str) -> None:
    spoil(run)
    with pytest.raises(BadInput) as refused:
        published(run)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert hub.calls == []


def test_figures_and_jsonl_go_along_and_unfinished_work_does_not(run: Path, hub: LoopbackHub) -> None:
    (run / "datasets" / "figures").mkdir(exist_ok=True)
    (run / "datasets" / "figures" / "noise.svg").write_text("<svg/>")
    (run / "datasets" / "stepwise" / "train-00000-of-00001.jsonl").write_text('{"a": 1}\n')
    (run / "datasets" / ".stepwise.tmp").mkdir()
    (run / "datasets" / ".stepwise.tmp" / "train.0").write_text("half")
    published(run)
    files = hub.repos[REPO].main.files
    assert {"figures/noise.svg", "stepwise/train-00000-of-00001.jsonl"} < files.keys()
    assert not [path for path in files if "tmp" in path]


def test_no_flipped_bit_is_published(run: Path) -> None:
    settings, _ = open_run(run)
    path = run / PART
    content = path.read_bytes()
    rng = random.Random(7)
    for _ in range(60):
        bit = rng.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"train-00000-of-00001.parquet: damaged \("):
            read_dataset(settings, run / "datasets", None)
    path.write_bytes(content)
    assert read_dataset(settings, run / "datasets", None) == dataset_of(run)


def test_a_run_in_a_store_is_published_too(run: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.run_folder.lock.CLOCK_SECONDS", 0.05)
    (run / "drivers").mkdir()  # a store has no folders to make
    published(StorePath(LocalFileSystem(), str(run), "s3"))
    assert holds_exactly(hub.repos[REPO].main, dataset_of(run))


def test_a_run_under_way_is_refused(run: Path, hub: LoopbackHub) -> None:
    with only_driver(Layout(run)), pytest.raises(BadInput, match="under way"):
        published(run)
    assert hub.calls == []
