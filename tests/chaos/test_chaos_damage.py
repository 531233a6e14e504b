"""Damage on the disk is noticed and named, or makes no difference: nothing is read back as something else."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from chaos import Reference, crashed, run
from chaos_runs import write_run

from stepforge.pipelines.datasets.writer import is_up_to_date
from stepforge.pipelines.progress.status import fresh_report, open_run
from stepforge.pipelines.run.stage_table import STAGES
from stepforge.pipelines.run_folder.plan import read_plan
from stepforge.pipelines.run_folder.pooled_rates import rates_of_run
from stepforge.pipelines.run_folder.sessions import past_sessions
from stepforge.pipelines.storage.journal import Journal, KeptCompletion
from stepforge.pipelines.storage.layout import FOLDERS
from stepforge.pipelines.storage.shards import read_shard, shard_metadata
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Rejected
from stepforge.schemas.record import Record

RECORDS: dict[str, type[Record]] = {FOLDERS[stage]: made.writes for stage, made in STAGES.items()}
ASIDE = {"rejected": Rejected, "completions": KeptCompletion}
SOME = [
    pytest.param(name, marks=() if name in ("solved", "labeled") else pytest.mark.slow) for name in FOLDERS.values()
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(tmp_path_factory.mktemp("damage"))


@pytest.fixture
def folder(reference: Reference, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(reference.folder, tmp_path / "out")
    return tmp_path / "out"


def flipped(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


class Target(NamedTuple):
    """A file, and what reading it gives; an equal answer is no harm."""

    path: Path
    read: Callable[[], Any]


def shard_targets(folder: Path) -> list[Target]:
    def reader(path: Path, record: type[Record]) -> Callable[[], Any]:
        return lambda: (read_shard(path, record), dict(shard_metadata(path)))

    return [
        Target(path, reader(path, record))
        for name, record in (RECORDS | ASIDE).items()
        for path in sorted((folder / name).rglob("*.parquet"))
    ]


def small_targets(folder: Path) -> list[Target]:
    """What a run keeps beside its shards and reads again."""
    run_file, layout = open_run(folder)
    stamp = folder / "exports" / "stepwise.json"

    def made() -> bool:
        if not is_up_to_date(run_file, layout, run_file.export[0]):
            raise RunFailed(f"{stamp}: the data set is made again")
        return True

    return [
        Target(folder / "plan.json", lambda: read_plan(folder)),
        Target(folder / "rates.json", lambda: rates_of_run(run_file, layout, [])),
        Target(folder / "settings.json", lambda: open_run(folder)),
        Target(stamp, made),
        *(Target(path, lambda: past_sessions(layout)) for path in (folder / "sessions").glob("*.json")),
    ]


def flip(targets: list[Target], count: int, rng: Random) -> Counter[str]:
    """Flip one bit at a time; return how often it was noticed, harmless, or silent."""
    true = {target.path: (target.path.read_bytes(), target.read()) for target in targets}
    tally: Counter[str] = Counter()
    for _ in range(count):
        target = rng.choice(targets)
        data, answer = true[target.path]
        target.path.write_bytes(flipped(data, rng))
        try:
            tally["harmless" if target.read() == answer else "silent"] += 1
        except RunFailed as error:
            assert str(target.path) in str(error)
            tally["noticed"] += 1
        finally:
            target.path.write_bytes(data)
    return tally


def left_journals(reference: Reference, folder: Path) -> Path:
    """Return a run folder with the journals that a crash left in it."""
    crashed(write_run(folder / "journalled", latency=10), folder / "crashed")
    return folder / "crashed" / "journal"


def flip_journals(journals: Path, count: int, rng: Random) -> Counter[str]:
    """Flip one bit at a time; a journal may then know less, and nothing else."""
    folders = sorted(path for path in journals.iterdir() if any(path.glob("*.frames")))
    tally: Counter[str] = Counter()
    for _ in range(count):
        folder = rng.choice(folders)
        path = rng.choice(sorted(folder.glob("*.frames")))
        data, true = path.read_bytes(), Journal(folder).known
        path.write_bytes(flipped(data, rng))
        known = Journal(folder).known
        path.write_bytes(data)
        tally["silent" if known.items() - true.items() else "noticed"] += 1
    return tally


@pytest.mark.parametrize("share", [0.2, pytest.param(1.0, marks=pytest.mark.slow)])
def test_no_bit_flip_is_silent(
    reference: Reference, folder: Path, tmp_path: Path, share: float, tell: Callable[[str], None]
) -> None:
    rng = Random(int(share * 100))
    small = flip(small_targets(folder), int(400 * share), rng)
    shards = flip(shard_targets(folder), int(1300 * share), rng)
    journals = flip_journals(left_journals(reference, tmp_path), int(300 * share), rng)
    total = shards + small + journals
    assert total["silent"] == 0
    assert shards["noticed"] > 0.4 * shards.total()
    assert small["noticed"] > 0.8 * small.total()
    tell(
        f"{total.total()} bit flips, {total['silent']} silent: noticed and named {shards['noticed']} of "
        f"{shards.total()} in shards, {small['noticed']} of {small.total()} in small files, the others changed nothing "
        f"that is read; {journals.total()} in journals, after which no completion was another one"
    )


def test_what_is_only_written_is_made_anew(folder: Path) -> None:
    """Ledger and report are never read back for figures: damage to them ends with the next report."""
    rng, before = Random(3), fresh_report(folder)
    for name in ("ledger.json", "report.json", "progress.json") * 2:
        path = folder / name
        path.write_bytes(flipped(path.read_bytes(), rng))
        assert fresh_report(folder) == before
    assert json.loads((folder / "report.json").read_text()) == before.model_dump(mode="json")


@pytest.mark.parametrize("name", FOLDERS.values())
def test_a_cut_shard_is_named(folder: Path, name: str) -> None:
    path = sorted((folder / name).glob("*.parquet"))[1]
    data, cuts = path.read_bytes(), 0
    for length in (0, *range(1, len(data), max(1, len(data) // 60))):
        path.write_bytes(data[:length])
        with pytest.raises(RunFailed, match=f"{name}/{path.name}: damaged shard"):
            read_shard(path, RECORDS[name])
        cuts += 1
    assert cuts > 60


def swap(first: Path, second: Path) -> None:
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


def another_run(folder: Path, **settings: Any) -> Path:
    run(write_run(folder / "another", **settings), folder / "other")
    return folder / "other"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return another_run(tmp_path_factory.mktemp("other"), seed=8)


@pytest.mark.parametrize("name", SOME)
def test_shards_in_each_others_place_are_named(reference: Reference, folder: Path, name: str) -> None:
    swap(folder / name / "part-00000.parquet", folder / name / "part-00001.parquet")
    refused_and_mended(reference, folder, folder / name / "part-00000.parquet", folder / name / "part-00001.parquet")


def test_a_shard_of_another_stage_is_named(reference: Reference, folder: Path) -> None:
    """Of the stage before, which has the same columns."""
    shutil.copy(folder / "vetted" / "part-00002.parquet", folder / "curated" / "part-00002.parquet")
    refused_and_mended(reference, folder, folder / "curated" / "part-00002.parquet")


def named_and_mended(reference: Reference, folder: Path, sources: dict[Path, Path]) -> None:
    """Put files in a place, one at a time and then all of them: the report names each, the run one of them."""
    for place, source in sources.items():
        own = place.read_bytes() if place.exists() else None
        shutil.copy(source, place)
        refused(folder, place)
        place.unlink()
        if own is not None:
            place.write_bytes(own)
    for place, source in sources.items():
        shutil.copy(source, place)
    ended_and_mended(reference, folder, *sources)


def test_shards_of_another_run_are_named(reference: Reference, folder: Path, other: Path) -> None:
    part = "part-00001.parquet"
    named_and_mended(reference, folder, {folder / name / part: other / name / part for name in FOLDERS.values()})


def test_the_rates_and_the_plan_of_another_run_are_refused(reference: Reference, folder: Path, other: Path) -> None:
    for name in ("rates.json", "plan.json"):
        shutil.copy(other / name, folder / name)
        for stage in ("labeled", "curated"):
            (folder / stage / "part-00002.parquet").unlink()
        ended_and_mended(reference, folder, folder / name)


def test_shards_that_are_not_planned_are_named(reference: Reference, folder: Path, tmp_path: Path) -> None:
    larger, part = another_run(tmp_path, problems=16), "part-00003.parquet"
    extra = {folder / name / part: larger / name / part for name in FOLDERS.values()}
    extra[folder / "labeled/part-00001 (copy).parquet"] = folder / "labeled/part-00001.parquet"
    named_and_mended(reference, folder, extra)


@pytest.mark.parametrize("name", [*SOME, "rejected/vet"])
def test_a_missing_shard_is_named_and_made_again(reference: Reference, folder: Path, name: str) -> None:
    """While all that was made from it is still there."""
    missing = sorted((folder / name).glob("*.parquet"))[0]
    missing.unlink()
    if name != "curated":
        with pytest.raises(RunFailed, match=str(missing)):
            fresh_report(folder)
    if name == "rejected/vet":
        (folder / "vetted" / missing.name).unlink()
    run(reference.run_file, folder)
    reference.check(folder)


@pytest.mark.parametrize(("name", "reader"), [("problems", "solved"), ("vetted", "labeled")])
def test_a_damaged_shard_ends_the_run_that_reads_it(reference: Reference, folder: Path, name: str, reader: str) -> None:
    path = folder / name / "part-00001.parquet"
    (folder / reader / path.name).unlink()
    path.write_bytes(path.read_bytes()[:-50])
    refused_and_mended(reference, folder, path)


def refused(folder: Path, *bad: Path) -> None:
    """The report ends with a line that names a bad file."""
    with pytest.raises(RunFailed, match="|".join(map(re.escape, map(str, bad)))):
        fresh_report(folder)


def refused_and_mended(reference: Reference, folder: Path, *bad: Path) -> None:
    """The report ends with a line that names a bad file, and so does the run."""
    refused(folder, *bad)
    ended_and_mended(reference, folder, *bad)


def ended_and_mended(reference: Reference, folder: Path, *bad: Path) -> None:
    """The run ends with a line that names a bad file; without the bad files it goes on to the same bytes."""
    said = run(reference.run_file, folder, expect=1)
    assert any(str(path) in said for path in bad), said
    assert "Traceback" not in said
    for path in bad:
        path.unlink()
    run(reference.run_file, folder)
    reference.check(folder)
