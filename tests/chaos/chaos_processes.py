"""A real ``stepforge run`` with a local Ray of its own, and the processes below it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from stepforge.pipelines.storage.layout import FOLDERS

ROOT = Path(__file__).parents[2]
RAYLET = "raylet/raylet"
QUICK = {"RAY_health_check_period_ms": "1000", "RAY_health_check_initial_delay_ms": "1000"}
"""By its own settings Ray takes a quarter of a minute to notice a dead raylet."""
WORKERS = ("ray::EngineWorker", "ray::CpuWorker")


def below(process: int) -> list[int]:
    """Return the ids of a process's descendants; none if it is gone."""
    try:
        return [child.pid for child in psutil.Process(process).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def title(process: int) -> str:
    """Return the command of a process; empty if it is gone or waits to be reaped."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class RayRun:
    """``stepforge run`` in a session of its own."""

    def __init__(self, run_file: Path, folder: Path, said: Path, words: tuple[str, ...] = ()) -> None:
        """``words``: another command than the run's."""
        self.folder = folder
        self.said_file = said
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= {"PYTHONPATH": str(ROOT)} | QUICK
        self.words = words or ("run", str(run_file), "--out", str(folder), "--quiet")
        command = [sys.executable, "-m", "stepforge", *self.words]
        with said.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, env=environment)
        self.started: set[int] = set()
        """Every process below it that was ever seen."""

    @property
    def said(self) -> str:
        """What it wrote to its terminal."""
        return self.said_file.read_text(errors="replace")

    def shards(self, stage: str = "*") -> int:
        """Return how many shards are committed."""
        return sum(len(list((self.folder / name).glob("part-*"))) for name in FOLDERS.values() if stage in ("*", name))

    def processes(self, *kinds: str) -> list[int]:
        """Return the processes below it whose command holds one of the texts."""
        found = below(self.process.pid)
        self.started.update(found)
        return [process for process in found if any(kind in title(process) for kind in kinds)]

    def wait_until(self, there: Callable[[], object], seconds: float = 240) -> bool:
        """Wait until something is there; False where the run ends first."""
        deadline = time.monotonic() + seconds
        while not there():
            if time.monotonic() > deadline:
                self.processes("")
                self.clear(0)
                raise TimeoutError(self.said[-2000:])
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def kill_some(self, kills: int, rng: Random) -> dict[str, int]:
        """Kill workers, one after the other, each at a moment of its own; return how many of which kind."""
        killed = dict.fromkeys(WORKERS, 0)
        while sum(killed.values()) < kills:
            kind = rng.choice(WORKERS)
            if not self.wait_until(lambda kind=kind: self.processes(kind)):  # type: ignore[misc]
                break
            time.sleep(rng.uniform(0, 2.5))
            victims = self.processes(kind)
            if victims:
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(victims), signal.SIGKILL)
                    killed[kind] += 1
        return killed

    def kill(self, process: int) -> None:
        """Kill a process of this run, having noted those that are there."""
        self.processes("")
        os.kill(process, signal.SIGKILL)

    def end(self, seconds: float = 240) -> int:
        """Wait for its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.clear(0)
            raise AssertionError(f"not done within {seconds} s: {self.said[-2000:]}") from None

    def clear(self, seconds: float = 90) -> list[str]:
        """Wait until nothing of it is left; kill and return what then still is."""
        deadline = time.monotonic() + seconds
        while (left := [p for p in self.started if title(p)]) and time.monotonic() < deadline:
            time.sleep(0.2)
        titles = [title(process) for process in left]
        for process in (self.process.pid, *left):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait(30)
        return titles
