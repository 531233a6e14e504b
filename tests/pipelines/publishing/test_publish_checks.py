"""What is refused before anything is sent: unfinished or damaged runs, and strange files."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_setup import REPO, dataset_of, holds_exactly, published
from loopback_hub import TOKEN, LoopbackHub
from pyarrow.fs import LocalFileSystem
from small_run import small_run

from stepforge.pipelines.datasets.stamp import stamp_of_text
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.publishing.local_dataset import read_dataset
from stepforge.pipelines.reports.card.peoples_section import Card, read_card
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import StorePath
from stepforge.schemas.errors import BadInput

FLIPS = 200
PART = "datasets/stepwise/train-00000-of-00001.parquet"


def cut_short(run: Path) -> None:
    path = run / PART
    path.write_bytes(path.read_bytes()[:-100])


def other_rows(run: Path) -> None:
    shutil.copy(run / "datasets/stepwise/test-00000-of-00001.parquet", run / PART)


def newer_shards(run: Path) -> None:
    os.utime(run / "curated" / "part-00000.parquet", ns=(0, 0))


STRAYS = (
    "notes.docx",
    "more.parquet",
    "SHA256SUMS",
    "a b.md",
    "notes.md",
    "figures/more.svg",
    "stepwise/train-00000-of-00001.jsonl",
    "old_export/train-00000-of-00001.parquet",
)


def stray(run: Path, name: str) -> None:
    path = run / "datasets" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")


def write_in_the_card(run: Path, text: str) -> None:
    path = run / "datasets" / "README.md"
    card = read_card(path.read_text())
    assert card is not None
    path.write_text(card._replace(kept=text).text)


def another_card(run: Path) -> None:
    card = Card("---\nconfigs: []\n---\n\n# Another\n", "")
    (run / "datasets" / "README.md").write_text(card.text)
    made = read_checksummed(run / "card.json")
    write_checksummed(
        run / "card.json", {**made, "files": {**made["files"], "README.md": stamp_of_text(card.rest).model_dump()}}
    )


def card_of_earlier_data(run: Path) -> None:
    write_checksummed(run / "card.json", {**read_checksummed(run / "card.json"), "inputs": "of earlier files"})


def list_file(stamp: Path, name: str) -> None:
    made = read_checksummed(stamp)
    made["files"][name] = {"size": 1, "sha256": "0" * 64}
    write_checksummed(stamp, made)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "curated" / "part-00001.parquet").unlink(), "the run is not finished"),
        (lambda run: (run / "report.json").unlink(), "the run is not finished"),
        (lambda run: (run / "labeled" / "part-00001.parquet").unlink(), "the run is not finished"),
        (lambda run: (run / "unsettled").write_text(""), "the run is not finished"),
        (lambda run: (run / "run.toml").unlink(), "not a run folder"),
        (lambda run: (run / PART).unlink(), "stepwise not made from the current curated shards"),
        (lambda run: shutil.rmtree(run / "datasets"), "not made from the current curated shards"),
        (newer_shards, "stepwise, step_preference, preference not made from the current curated shards"),
        (cut_short, "not made from the current curated shards"),
        (other_rows, "not made from the current curated shards"),
        (lambda run: (run / "datasets" / "README.md").unlink(), "README.md: missing"),
        (lambda run: (run / "datasets" / "README.md").write_text("# Hello\n"), "or changed outside its kept section"),
        (lambda run: (run / "datasets" / "README.md").write_text("---\na: [\n---\n"), "or changed outside its kept"),
        (another_card, "README.md: does not describe"),
        (card_of_earlier_data, "README.md: does not describe"),
        (lambda run: write_in_the_card(run, f"it is {TOKEN}\n"), "README.md: contains the Hub token"),
        (lambda run: (run / "card.json").unlink(), "card.json: missing or damaged"),
        (lambda run: (run / "exports" / "stepwise.json").unlink(), "stepwise not made from the current curated shards"),
        (lambda run: list_file(run / "card.json", "../../secret.svg"), "cannot be a file of a data set"),
        (lambda run: list_file(run / "exports" / "stepwise.json", "notes.parquet"), "not made from the current"),
        (lambda run: (run / "datasets" / "figures" / "values.svg").write_text("<svg/>"), "values.svg: damaged"),
        (lambda run: (run / "datasets" / "figures" / "values.svg").unlink(), "values.svg: missing"),
        *((lambda run, n=name: stray(run, n), f"{name}: not written by this run") for name in STRAYS),
        (lambda run: (run / "datasets" / "link.md").symlink_to("/etc/passwd"), "link.md: a symbolic link"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(copy: Path, hub: LoopbackHub, spoil: Callable[[Path], object], said: str) -> None:
    spoil(copy)
    with pytest.raises(BadInput) as refused:
        published(copy)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert hub.calls == []


def test_unfinished_work_is_left_out(copy: Path, hub: LoopbackHub) -> None:
    (copy / "datasets" / ".stepwise.tmp").mkdir()
    (copy / "datasets" / ".stepwise.tmp" / "train.0").write_text("half")
    published(copy)
    assert not [path for path in hub.repos[REPO].main.files if "tmp" in path]


def test_no_flipped_bit_of_any_file_is_published(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """Parquet, JSONL, the card and its figures: a third of the flips each but for Parquet."""
    exports = ("stepwise", "prm800k", "step_advantages")
    layout = small_run(tmp_path / "run", problems=4, exports=exports)
    settings, rng = open_run(layout.folder)[0], random.Random(7)
    files = [path for path in sorted(layout.datasets.rglob("*")) if path.is_file()]
    assert {path.suffix for path in files} == {".parquet", ".jsonl", ".json", ".md", ".svg"}
    unseen = []
    for number in range(FLIPS):
        path = files[number % len(files)]
        content = path.read_bytes()
        bit = rng.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read_dataset(settings, layout, layout.datasets, None)
            unseen.append((path.name, bit))
        except BadInput as refused:
            assert path.name in str(refused)
            assert ("which recreates it" in str(refused)) is (path.parent.name in exports)
            assert "\n" not in str(refused)
        path.write_bytes(content)
    tell(f"published files: {FLIPS} bits flipped in {len(files)} files, {len(unseen)} unseen")
    assert unseen == []
    assert read_dataset(settings, layout, layout.datasets, None) == dataset_of(layout.folder)


def test_a_run_in_a_store_is_published_too(copy: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.run_folder.lock.CLOCK_SECONDS", 0.05)
    (copy / "drivers").mkdir()  # a store has no folders to make
    published(StorePath(str(copy), "s3", LocalFileSystem()))
    assert holds_exactly(hub.repos[REPO].main, dataset_of(copy))


def test_a_run_under_way_is_refused(copy: Path, hub: LoopbackHub) -> None:
    with only_driver(Layout(copy)), pytest.raises(BadInput, match="in progress"):
        published(copy)
    assert hub.calls == []
