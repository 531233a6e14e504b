"""Ctrl-C and SIGTERM end a run in good order: workers closed, no process left, whole files, and a way to go on."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_processes import RAYLET, RayRun, title
from chaos_runs import row_ids
from run_files import write_run_file

from stepforge.pipelines.run.stopping import Stopping
from stepforge.schemas.errors import RunFailed, Stopped

SETTINGS: dict[str, Any] = {
    "problems": 40,
    "policy": {"answer": "stated"},
    "workers": {"engine": 2, "shards_in_flight": 1},
    "export": [{"kind": "stepwise"}],
}


@pytest.fixture(autouse=True)
def _heeds_ctrl_c() -> Iterator[None]:
    """A shell starts what it puts into the background deaf to Ctrl-C, and so would all of these be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def slow_run(folder: Path, latency_ms: int = 60) -> Path:
    return write_run_file(folder, engine={"error_rate": 0.1, "latency_ms": latency_ms}, **SETTINGS)


def started(folder: Path, labeled: int) -> RayRun:
    """Return a run that has so many labeled shards, and knows its processes."""
    going = RayRun(slow_run(folder), folder / "out", folder / "said")
    assert going.wait_until(lambda: going.shards("labeled") >= labeled), going.said
    assert len(going.processes("")) > 3
    return going


def finished(folder: Path) -> None:
    again = RayRun(folder / "run.toml", folder / "out", folder / "said again")
    assert again.end() == 0, again.said


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_is_stopped_and_finished(tmp_path: Path, number: signal.Signals) -> None:
    going, folder = started(tmp_path, 2), tmp_path / "out"
    (private,) = {
        Path(found[0]) for p in going.processes(RAYLET) if (found := re.search(r"/[^ =]*stepforge-\w+", title(p)))
    }
    os.killpg(going.process.pid, number)
    assert going.end() == 128 + number, going.said
    assert "Traceback" not in going.said
    assert f"To resume: stepforge {' '.join(going.words)}" in going.said.splitlines()[-1]
    assert going.clear(10) == []
    assert not private.exists()
    assert list(folder.rglob(".*.tmp")) == []
    assert json.loads((folder / "progress.json").read_text())["ended"]
    assert 2 <= going.shards("labeled") < 8
    finished(tmp_path)
    ids = row_ids(folder)
    assert len(ids) == len(set(ids)) == 40


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    going = started(tmp_path, 1)
    going.process.send_signal(number)
    time.sleep(0.05)
    going.process.send_signal(number)
    assert going.end() == 128 + number, going.said
    assert going.clear(10) == []
    finished(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.2, 0.7, 1.5])
def test_sigterm_while_ray_starts_ends_the_run_in_good_order(tmp_path: Path, delay: float) -> None:
    going = RayRun(slow_run(tmp_path), tmp_path / "out", tmp_path / "said")
    assert going.wait_until(lambda: going.processes("log_monitor.py")), going.said
    time.sleep(delay)
    going.process.send_signal(signal.SIGTERM)
    assert going.end() == 143, going.said
    assert "SIGTERM received" not in going.said
    assert going.clear(10) == []


# The signals themselves, in this process


def test_the_first_signal_cancels_and_lets_close() -> None:
    closed = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    with pytest.raises(Stopped) as stopped, Stopping() as stopping:
        stopping.run(work())
    assert stopped.value.exit_code == 143
    assert closed == [True]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_fails_while_it_is_stopped_is_stopped_all_the_same() -> None:
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RunFailed("a worker died") from None

    with pytest.raises(Stopped) as stopped, Stopping() as stopping:
        stopping.run(work())
    assert stopped.value.exit_code == 130


def test_errors_and_results_pass_through() -> None:
    async def work(answer: int) -> int:
        if not answer:
            raise RunFailed("no answer")
        return answer

    with Stopping() as stopping:
        assert stopping.run(work(3)) == 3
        with pytest.raises(RunFailed, match="no answer"):
            stopping.run(work(0))


def test_a_signal_outside_the_work_is_raised_where_it_comes_unless_held(capfd: pytest.CaptureFixture[str]) -> None:
    reached = []
    with pytest.raises(Stopped), Stopping():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("never")
    with pytest.raises(Stopped), Stopping() as stopping:
        with stopping.held():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("held")
        reached.append("never")
    assert reached == ["held"]
    assert "press Ctrl-C again to stop immediately" in capfd.readouterr().err


@pytest.mark.slow
def test_an_estimate_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    run_file = slow_run(tmp_path, latency_ms=4000)
    going = RayRun(run_file, tmp_path, tmp_path / "said", ("estimate", str(run_file)))
    assert going.wait_until(lambda: going.processes("PilotWorker.measure"))
    os.killpg(going.process.pid, signal.SIGINT)
    assert going.end() == 130
    assert going.said.splitlines()[-1] == "stepforge: stopped"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.toml", "said"]
    assert going.clear(10) == []
