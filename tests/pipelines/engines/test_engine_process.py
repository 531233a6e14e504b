"""vLLM in processes of its own: when one dies its callers are told, and when its starter dies they go too."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from engine_setup import engine_processes, random_model, tiny_model

from stepforge.pipelines.engines import VllmEngineSettings
from stepforge.schemas.errors import BadInput

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
STARTER = """
import asyncio, os, signal, sys
from engine_setup import ask, engine_processes
from stepforge.pipelines.engines import VllmEngineSettings
from stepforge.schemas.protocols import EngineDead

async def main(model, processes, then):
    settings = {"dtype": "float32", "kv_cache_gib": 0.5, "tensor_parallel_size": int(processes)}
    engine = await VllmEngineSettings(model=model, **settings).open()
    process = engine_processes(os.getpid())[-1]
    assert all(completion.text for completion in await ask(engine, n=4, max_tokens=8))
    asked = [asyncio.create_task(ask(engine, n=64, max_tokens=400, seed=i)) for i in range(8)]
    await asyncio.sleep(0.5)
    print("at work", flush=True)
    if then == "be killed":
        await asyncio.sleep(600)
    process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {EngineDead}
    try:
        await ask(engine)
    except EngineDead:
        print("told", flush=True)
    await engine.close()

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""
"""In a process of its own: vLLM's client of a killed engine leaves sockets open."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def gone(processes: list[psutil.Process], within: float = 10.0) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=within)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


@contextmanager
def starter(model: Path, processes: int, folder: Path, then: str) -> Iterator["subprocess.Popen[str]"]:
    script = folder / "starter.py"
    script.write_text(STARTER)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(Path.cwd()), str(Path(__file__).parents[2])))}
    command = [sys.executable, script, model, str(processes), then]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process


@pytest.fixture(scope="module", params=[1, 2], ids=lambda processes: f"tensor parallel {processes}")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A model, and how many processes compute it."""
    return random_model(tmp_path_factory.mktemp("random")), request.param


def test_callers_of_a_killed_engine_process_are_told(served: tuple[Path, int], tmp_path: Path) -> None:
    with starter(*served, tmp_path, "kill it") as process:
        said, _ = process.communicate(timeout=60)
    assert (said, process.returncode) == ("told\n", 0)


def test_a_closed_engine_leaves_no_process(model: Path) -> None:
    async def opened_and_closed() -> list[psutil.Process]:
        before = set(psutil.Process().children())
        engine = await VllmEngineSettings(model=str(model), dtype="float32", kv_cache_gib=0.5).open()
        started = set(psutil.Process().children()) - before
        kept = [child for child in started if "resource_tracker" not in " ".join(child.cmdline())]
        assert any("stepforge-reaper" in child.cmdline() for child in kept)
        assert len(kept) == 2
        await engine.close()
        return kept

    assert gone(asyncio.run(opened_and_closed()))


def test_a_process_that_does_not_start_says_why_in_one_line(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = VllmEngineSettings(model=str(model), dtype="float32", kv_cache_gib=0.00001)
    with pytest.raises(BadInput, match=r"vLLM cannot serve .*: No available memory for the cache blocks"):
        asyncio.run(settings.open())
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


def test_an_engine_process_does_not_outlive_its_starter(served: tuple[Path, int], tmp_path: Path) -> None:
    with starter(*served, tmp_path, "be killed") as process:
        processes = engine_processes(process.pid)
        assert len(processes) == {1: 1, 2: 3}[served[1]]
        process.kill()
    assert gone(processes)
