"""Runs against a server on loopback: a run file, and what a finished run holds."""

from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import contents
from loopback_server import LoopbackServer
from run_files import write_run_file

from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.labeled import LabeledProblem

MANY = {"problems": 32, "rows_per_shard": 8}
FEW = {"problems": 12, "rows_per_shard": 6}
TREE = {"kind": "omega_prm", "k": 4, "search_limit": 6}


def write_run(
    folder: Path,
    address: str,
    *,
    size: dict[str, Any] = MANY,
    label: dict[str, Any] = TREE,
    policy: dict[str, Any] | None = None,
    watch: dict[str, Any] | None = None,
    **engine: Any,
) -> Path:
    """Write the run file of a run against a server; ``engine`` holds settings of the connection."""
    server = {"kind": "server", "address": address, "connections": 16, "retries": 2, "backoff": 0.0125, "patience": 90}
    chat = {"chat": True, "prompt": "{question}"} if engine.get("api") == "chat" else {}
    return write_run_file(
        folder,
        **size,
        seed=5,
        test_share=0.3,
        engine=server | engine,
        policy={"answer": "stated", "max_tokens": 600, **chat, **(policy or {})},
        workers={"gpus_per_engine": 0, "shards_in_flight": 2},
        generate=[{"kind": "sequence"}],
        label=[label],
        export=[{"kind": "stepwise"}],
        watch=watch or {},
    )


def labeled_rows(folder: Path) -> list[LabeledProblem]:
    """Return the labeled problems of a run."""
    return [row for path in sorted((folder / "labeled").glob("*.parquet")) for row in read_shard(path, LabeledProblem)]


@pytest.fixture
def server() -> Any:
    opened: list[LoopbackServer] = []

    def serve(behavior: Any = None, owner: str = "loopback", name: str = "scripted") -> LoopbackServer:
        opened.append(LoopbackServer(behavior, owner, name))
        return opened[-1]

    yield serve
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("undisturbed")
    server = LoopbackServer()
    run(write_run(folder, server.address, size=FEW), folder / "out")
    server.close()
    return contents(folder / "out"), server.asked
