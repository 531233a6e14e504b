"""Runs against a server on loopback: a run file, and what a finished run holds."""

from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import KEPT
from loopback_server import LoopbackServer

from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.labeled import LabeledProblem

RUN = """
seed = 5
problems = {problems}
solutions = 4
rows_per_shard = {rows}
test_share = 0.3
max_failure_share = {failures}

[engine]
kind = "server"
address = "{address}"
connections = 16
retries = 2
backoff = {backoff}
patience = {patience}

[policy]
answer = "stated"
max_tokens = 600
temperature = {temperature}

[workers]
engine = 1
cpu = 1
gpus_per_engine = 0
shards_in_flight = 2

[[generate]]
kind = "sequence"

[[label]]
kind = "omega_prm"
k = 4
search_limit = 6

[[export]]
kind = "stepwise"
"""
DEFAULTS: dict[str, Any] = {
    "problems": 32,
    "rows": 8,
    "failures": 0.01,
    "backoff": 0.0125,
    "patience": 90,
    "temperature": 1.0,
}


def write_run(folder: Path, address: str, **settings: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.toml"
    path.write_text(RUN.format(**DEFAULTS | settings, address=address))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every shard, rejection, failure and data file."""
    paths = [path for name in KEPT for path in sorted((folder / name).rglob("*.parquet"))]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def labeled_rows(folder: Path) -> list[LabeledProblem]:
    """Return the labeled problems of a run."""
    return [row for path in sorted((folder / "labeled").glob("*.parquet")) for row in read_shard(path, LabeledProblem)]


@pytest.fixture
def server() -> Any:
    opened: list[LoopbackServer] = []

    def serve(behavior: Any = None, owner: str = "loopback") -> LoopbackServer:
        opened.append(LoopbackServer(behavior, owner))
        return opened[-1]

    yield serve
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("undisturbed")
    server = LoopbackServer()
    run(write_run(folder, server.address, problems=12, rows=6), folder / "out")
    server.close()
    return contents(folder / "out"), server.asked
