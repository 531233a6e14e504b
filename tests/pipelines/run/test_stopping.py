"""Ctrl-C and SIGTERM end a run in good order: workers closed, no process left, whole files, and a way to go on."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from run_files import write_run_file

from stepforge.pipelines.run.stopping import Stopping
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_columns
from stepforge.schemas.errors import RunFailed, Stopped

SETTINGS: dict[str, Any] = {
    "problems": 40,
    "policy": {"answer": "stated"},
    "workers": {"engine": 2, "shards_in_flight": 1},
    "export": [{"kind": "stepwise"}],
}
MARK = "STEPFORGE_TEST_MARK"
PATIENCE_SECONDS = 200


@pytest.fixture(autouse=True)
def _heeds_ctrl_c() -> Iterator[None]:
    """A shell starts what it puts into the background deaf to Ctrl-C, and so would all of these be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def marked(mark: str) -> list[str]:
    """What runs with a mark in its environment, which descendants inherit."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100])
        except OSError:
            continue
    return found


class Driver:
    """A run in a session of its own, and everything that descends from it."""

    def __init__(self, run_file: Path, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid4().hex
        self.arguments = ["run", str(run_file), "--out", str(folder)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stepforge", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # as a terminal does, a signal goes to the whole group
            env={**os.environ, MARK: self.mark},
        )

    def wait_for(self, label_shards: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while len(Layout(self.folder).shards("label")) < label_shards:
            assert self.process.poll() is None, self.process.communicate()
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.02)

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err

    def left(self, seconds: float) -> list[str]:
        """What is still there after so long at most."""
        until = time.monotonic() + seconds
        while marked(self.mark) and time.monotonic() < until:
            time.sleep(0.1)
        return marked(self.mark)


def slow_run(folder: Path, latency_ms: int = 60) -> Path:
    return write_run_file(folder, engine={"error_rate": 0.1, "latency_ms": latency_ms}, **SETTINGS)


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.suffix == ".tmp"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_is_stopped_and_finished(tmp_path: Path, number: signal.Signals) -> None:
    run_file, folder = slow_run(tmp_path), tmp_path / "out"
    driver = Driver(run_file, folder)
    driver.wait_for(2)
    assert len(marked(driver.mark)) > 3
    os.killpg(driver.process.pid, number)
    returned, out, err = driver.ended()
    assert returned == 128 + number, err
    assert out == ""
    assert "Traceback" not in err
    assert f"To resume: stepforge {' '.join(driver.arguments)}" in err.splitlines()[-1]
    assert driver.left(10) == []
    assert half_written(folder) == []
    assert json.loads((folder / "progress.json").read_text())["ended"]
    assert 2 <= len(Layout(folder).shards("label")) < 8
    last = Driver(run_file, folder)
    returned, _, err = last.ended()
    assert returned == 0, err
    columns = [read_columns(path, ["problem"])["problem"] for path in Layout(folder).shards("label")]
    ids = Counter(problem["id"] for problems in columns for problem in problems)
    assert len(ids) == 40
    assert set(ids.values()) == {1}
    assert last.left(10) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    run_file, folder = slow_run(tmp_path), tmp_path / "out"
    driver = Driver(run_file, folder)
    driver.wait_for(1)
    driver.process.send_signal(number)
    time.sleep(0.05)
    driver.process.send_signal(number)
    returned, _, _ = driver.ended()
    assert returned == 128 + number
    assert driver.left(10) == []
    returned, _, err = Driver(run_file, folder).ended()
    assert returned == 0, err


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
    mark = uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "stepforge", "estimate", str(run_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, MARK: mark},
    )
    until = time.monotonic() + PATIENCE_SECONDS
    while not any("PilotWorker.solve" in name for name in marked(mark)):
        assert process.poll() is None, process.communicate()
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "stepforge: stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]
    until = time.monotonic() + 10
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.1)
    assert marked(mark) == []
