"""Two models in one run, on servers of which one goes away, comes back as another model, or fails."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import contents
from fakes import CharacterEngine
from loopback_server import Asked, LoopbackServer
from run_files import a_run, write_run_file
from server_runs import FEW, TREE

from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.run.actors import EngineWorker
from stepforge.pipelines.run.shard_work import Engines
from stepforge.pipelines.run_folder.settings_guard import check_models
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import EngineIdentity


def two_models(folder: Path, first: str, strong: str, **engine: Any) -> Path:
    """Write a run that one model begins and another completes."""
    server = {"kind": "server", "connections": 16, "retries": 2, "backoff": 0.0125, "patience": 90} | engine
    ways = [{"name": "strong", "share": 0.5, "engine": "strong"}]
    return write_run_file(
        folder,
        **FEW,
        engine=server | {"address": first},
        engines={"strong": server | {"address": strong}},
        policy={"answer": "stated", "max_tokens": 600, "ways": ways, "completer": "strong"},
        workers={"gpus_per_engine": 0, "shards_in_flight": 2},
        generate=[{"kind": "sequence"}],
        label=[TREE],
        export=[{"kind": "stepwise"}],
    )


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run on two sound servers holds."""
    folder, servers = tmp_path_factory.mktemp("clean"), [LoopbackServer(name=name) for name in "AB"]
    run(two_models(folder, *(one.address for one in servers)), folder / "out")
    for one in servers:
        one.close()
    return contents(folder / "out")


def test_a_server_that_comes_back_with_another_model_is_waited_for_and_never_asked(
    tmp_path: Path, server: Any, clean: dict[str, bytes]
) -> None:
    first, strong, out = server(name="A"), server(name="B"), tmp_path / "out"

    def goes(asked: Asked) -> Any:
        if asked.number <= 60:
            return asked.honest()
        strong.name = "C"
        return 503 if asked.number <= 80 else asked.honest()

    strong.behavior = goes
    said = run(two_models(tmp_path, first.address, strong.address, patience=2), out, expect=1)
    assert "it serves C now; B is needed" in said
    said = run(two_models(tmp_path, first.address, strong.address), out, expect=2)
    assert f"engines.strong: {out} was made with B, and now it is C" in said
    run(two_models(tmp_path, first.address, server(name="B").address), out)
    assert contents(out) == clean


@pytest.mark.parametrize("answer", [500, 401, {"choices": []}])
def test_a_server_that_fails_over_everything_is_waited_for(
    answer: Any, tmp_path: Path, server: Any, clean: dict[str, bytes]
) -> None:
    """Though it lists its model: else its half of the labels would be without evidence."""
    strong = server(lambda asked: answer if 60 < asked.number <= 160 else asked.honest(), name="B")
    run(two_models(tmp_path, server(name="A").address, strong.address), tmp_path / "out")
    assert contents(tmp_path / "out") == clean


def test_a_run_that_is_refused_starts_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge's model, which is in a folder, is another than before; nor may the policy's be started first."""
    local = {"kind": "transformers", "model": "embedded"}
    ran = a_run(generate=[{"kind": "sequence"}], label=[{"kind": "judge"}], judge=local)
    before = EngineIdentity(model="embedded", digest="another", engine="transformers", version="")
    check_models(ran, Layout(tmp_path), {"judge": before}, record=True)
    monkeypatch.setattr("stepforge.pipelines.engines.scripted_engine.ScriptedEngine", None)
    with pytest.raises(BadInput, match=r"judge: .* was made with embedded another, and now it is embedded"):
        asyncio.run(EngineWorker(ran, tmp_path, "session").ready())


def test_the_server_that_is_away_is_named_by_its_table(tmp_path: Path, server: Any) -> None:
    first, gone = server(name="A"), server(name="B")
    gone.close()
    said = run(two_models(tmp_path, first.address, gone.address), tmp_path / "out", expect=2)
    assert said.startswith(f"stepforge: engines.strong.address: no server answers at {gone.address}")
    assert not (tmp_path / "out").exists()


def test_progress_counts_every_engine_of_a_worker(tmp_path: Path) -> None:
    worker = EngineWorker(a_run(), tmp_path, "session")
    gates = [EngineGate(CharacterEngine(name), 4) for name in "ab"]
    worker.engines = Engines({"engine": gates[0], "engines.b": gates[1]})
    gates[1]._clock.start()
    gates[1]._counts["errors"] = 2
    counters = asyncio.run(worker.progress())
    assert (counters["running"], counters["capacity"], counters["errors"]) == (1, 8, 2)
