"""A run may lie in an object store: the same bytes, one driver, and nothing half-written."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_files import write_run_file
from s3_server import BUCKET, s3_server

from stepforge.pipelines.run_folder import lock as folder_lock
from stepforge.pipelines.run_folder.lock import is_current, is_held, only_driver
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_shard, shard_metadata, write_shard
from stepforge.pipelines.storage.store import StorePath, committed, place_of, write_text
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.problem import Problem


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    pytest.importorskip("moto", reason="the S3 server of the tests comes with stepforge[dev]")
    with s3_server() as found:
        yield found


@pytest.fixture
def bucket(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> StorePath:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    place = place_of(f"s3://{BUCKET}/{request.node.name}")
    assert isinstance(place, StorePath)
    return place


def test_an_object_is_read_listed_and_forgotten(bucket: StorePath) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        (bucket / name).write_bytes(name.encode())
    assert sorted(path.name for path in bucket.glob("*.txt")) == ["a.txt", "b.txt"]
    assert sorted(path.name for path in bucket.rglob("*.txt")) == ["a.txt", "b.txt", "c.txt"]
    traveled = pickle.loads(pickle.dumps(bucket / "a.txt"))  # noqa: S301 - our own object
    assert traveled == bucket / "a.txt"
    assert traveled.read_bytes() == b"a.txt"
    assert (bucket / "a.txt").stat().st_size == 5
    assert str(traveled) == f"s3://{BUCKET}/{bucket.name}/a.txt"
    (bucket / "a.txt").unlink()
    assert not (bucket / "a.txt").exists()
    (bucket / "a.txt").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (bucket / "a.txt").unlink()
    with pytest.raises(FileNotFoundError):
        (bucket / "a.txt").stat()
    assert list((bucket / "nothing here").glob("*")) == []


def test_what_fails_half_way_leaves_the_old_object(bucket: StorePath) -> None:
    write_text(bucket / "state.json", "old")
    with pytest.raises(ZeroDivisionError), committed(bucket / "state.json") as file:
        file.write(b"half of the n")
        raise ZeroDivisionError
    assert (bucket / "state.json").read_bytes() == b"old"


def test_a_shard_comes_back_and_damage_is_named(bucket: StorePath) -> None:
    from stepforge.generators.families import ALL_FAMILIES

    rows = [ALL_FAMILIES[0]().item(3, i) for i in range(20)]
    path = bucket / "part-00000.parquet"
    write_shard(path, rows, Problem, {"seed": 3})
    assert read_shard(path, Problem) == rows
    assert shard_metadata(path).items() >= {"seed": 3, "rows": 20}.items()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunFailed, match=rf"s3://{BUCKET}/.*part-00000.parquet: damaged shard"):
        read_shard(path, Problem)


def test_the_second_driver_gives_way_and_a_dead_one_does_not_hold_up(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(bucket)
    with only_driver(layout) as session:
        assert is_current(layout, session)
        assert is_held(layout)
        with pytest.raises(BadInput, match="another stepforge is running"), only_driver(layout):
            pass
        assert is_current(layout, session)
    assert not is_current(layout, session)
    assert not is_held(layout)
    (bucket / "drivers" / "0000dead").write_bytes(b"a killed driver left this")
    with pytest.raises(BadInput), only_driver(layout):
        pass
    monkeypatch.setattr(folder_lock, "STALE_SECONDS", 0.0)
    with only_driver(layout) as session:
        assert is_current(layout, session)
        assert not is_current(layout, "0000dead")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://key:secret@bucket/run", "a name or password in an address"),
        ("ftp://host/run", "unsupported address"),
        ("s3:///", "cannot be opened"),
    ],
)
def test_addresses_that_cannot_be(address: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        place_of(address)
    assert "secret" not in str(caught.value)


def run(run_file: Path, out: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "stepforge", "run", str(run_file), "--out", out, "--quiet", "--json"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=os.environ | environment
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.slow
def test_a_run_in_a_store_has_the_bytes_of_one_on_a_disk(
    bucket: StorePath, environment: dict[str, str], tmp_path: Path
) -> None:
    run_file = write_run_file(
        tmp_path, seed=8, problems=16, rows_per_shard=4, vet=[{"kind": "duplicates"}], export=[{"kind": "stepwise"}]
    )
    local = tmp_path / "local"
    for out in (str(local), str(bucket)):
        assert run(run_file, out, environment).returncode == 0
    there = {str(path).removeprefix(f"{bucket}/"): path.read_bytes() for path in bucket.rglob("*.parquet")}
    here = {path.relative_to(local).as_posix(): path.read_bytes() for path in local.rglob("*.parquet")}
    assert here == there
    assert len([name for name in here if name.startswith("labeled/")]) == 4
    assert not list(bucket.rglob("*.frames"))
    assert not list((bucket / "drivers").glob("*"))
    again = run(run_file, str(bucket), environment)
    assert len(json.loads(again.stdout)["cost"]["sessions"]) == 1
