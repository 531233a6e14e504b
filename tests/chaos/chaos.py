"""Whole runs in processes that may end at any moment: ``stepforge run`` with everything but Ray, or with Ray too.

Without Ray the driver, the pool, the workers, the journal and the files are the real ones; only the workers' actors
live in the driver's own process. That makes a run cheap enough to be killed hundreds of times.
"""

import asyncio
import mmap
import multiprocessing
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from chaos_runs import contents, left_behind, report_of, write_run

MOMENTS = ("start", "generate", "solve", "vet", "label", "curate", "ledger", "export", "report")
"""What a driver is at: stages of shards, or what it does before and after them."""


class Whereabouts:
    """How many shards a process has in each stage, readable from outside even after it was killed."""

    def __init__(self, path: Path) -> None:
        size = 4 * len(MOMENTS)
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)

    def change(self, moment: str, by: int) -> None:
        """Take note that something began or ended."""
        place = 4 * MOMENTS.index(moment)
        (count,) = struct.unpack_from("<i", self._memory, place)
        struct.pack_into("<i", self._memory, place, count + by)

    def now(self) -> list[str]:
        """Return what is under way, and forget it."""
        counts = struct.unpack(f"<{len(MOMENTS)}i", self._memory[:])
        self._memory[:] = bytes(len(self._memory))
        return [moment for moment, count in zip(MOMENTS, counts, strict=True) if count > 0]

    def during(self, moment: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that takes note of itself."""

        def noted(*arguments: Any, **options: Any) -> Any:
            self.change(moment, 1)
            try:
                return function(*arguments, **options)
            finally:
                self.change(moment, -1)

        return noted


class LocalActor:
    """Stands for a Ray actor: the same object, asked in the same way, in this process."""

    def __init__(self, kind: type, arguments: tuple[Any, ...], where: Whereabouts | None) -> None:
        self.worker = kind(*arguments)
        self.where = where

    def __getattr__(self, method: str) -> "Method":
        return Method(self, getattr(self.worker, method))


class Method:
    """A method of a local actor; its errors come as Ray's do."""

    def __init__(self, actor: LocalActor, function: Callable[..., Any]) -> None:
        self.actor = actor
        self.function = function

    def remote(self, *arguments: Any) -> "asyncio.Task[Any]":
        """Start the call."""
        return asyncio.get_running_loop().create_task(self._answer(*arguments))

    async def _answer(self, *arguments: Any) -> Any:
        from ray.exceptions import RayTaskError

        where = self.actor.where if self.function.__name__ == "do" else None
        if where is not None:
            where.change(arguments[0], 1)
        try:
            return await self.function(*arguments)
        except Exception as error:
            raise RayTaskError(self.function.__name__, str(error), error, "local", 1, "127.0.0.1") from error
        finally:
            if where is not None:
                where.change(arguments[0], -1)


def without_ray(where: Whereabouts | None = None) -> None:
    """Give this process's runs workers that live in it."""
    import ray

    from stepforge.pipelines.run import driver, pool

    def workers(kind: type, run: Any, folder: Any, session: str, count: int, options: Any) -> list[Any]:
        def start() -> LocalActor:
            return LocalActor(kind, (run, folder, session), where)

        return [pool.Worker(start, run.workers.max_restarts) for _ in range(count)]

    pool._workers = workers  # type: ignore[assignment]
    pool.ray_is_lost = lambda: False
    pool.engine_gpus = lambda run: 0.0
    ray.kill = lambda actor, no_restart: None  # type: ignore[assignment]
    driver.start_ray = driver.stop_ray = lambda **_: None
    if where is not None:
        driver.guard_settings = where.during("start", driver.guard_settings)
        driver.plan_shards = where.during("start", driver.plan_shards)
        driver.write_ledger = where.during("ledger", driver.write_ledger)
        driver.export_all = where.during("export", driver.export_all)
        driver.write_report = where.during("report", driver.write_report)


def stepforge(arguments: list[str], out: Path, where: Path | None, prepare: Callable[[], None] | None) -> None:
    """Be ``stepforge`` without Ray: the body of a process."""
    os.setsid()
    with out.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    without_ray(Whereabouts(where) if where else None)
    if prepare is not None:
        prepare()
    from stepforge import cli

    sys.argv = ["stepforge", *arguments]
    cli.main()


@cache
def _forkserver() -> Any:
    """Return a context whose processes start in milliseconds, because all they import is there already."""
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*here, *([before] if before else [])])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["chaos_imports"])
    return context


class Attempt:
    """One ``stepforge`` process without Ray."""

    def __init__(self, *arguments: str | Path, out: Path, where: Path | None = None, prepare: Any = None) -> None:
        self.out = out
        self.process: ForkServerProcess = _forkserver().Process(
            target=stepforge, args=([str(a) for a in arguments], out, where, prepare)
        )
        self.process.start()

    def kill(self) -> bool:
        """Kill it, and say whether it was still alive."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL

    def wait(self, seconds: float = 600) -> int:
        """Return its exit code; kill it where it takes too long."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"not done within {seconds} s: {self.said}")
        return self.process.exitcode

    @property
    def said(self) -> str:
        """What it wrote to its terminal."""
        return self.out.read_text(errors="replace") if self.out.exists() else ""


def run(run_file: Path, folder: Path, *more: str, prepare: Any = None, expect: int = 0) -> str:
    """Do a run to its end in a process of its own, and return what it said."""
    command = ("run", run_file, "--out", folder, "--quiet", *more)
    attempt = Attempt(*command, out=folder.with_suffix(".log"), prepare=prepare)
    code = attempt.wait()
    assert code == expect, f"exit code {code}: {attempt.said[-2000:]}"
    return attempt.said


class Reference:
    """An uninterrupted run, that others are held against."""

    def __init__(self, folder: Path, *, prepare: Any = None, **settings: Any) -> None:
        self.run_file = write_run(folder, **settings)
        self.folder = folder / "reference"
        run(self.run_file, self.folder, prepare=prepare)
        self.contents = contents(self.folder)
        self.stages = report_of(self.folder)["stages"]

    def seconds(self, folder: Path) -> float:
        """Return how long another takes; the first one paid for what is imported only once."""
        began = time.monotonic()
        run(self.run_file, folder)
        seconds = time.monotonic() - began
        self.check(folder)
        return seconds

    def check(self, folder: Path) -> None:
        """Check that another run of the same settings ended as this one: the same bytes, every row once."""
        assert left_behind(folder) == []
        found = contents(folder)
        assert found.keys() == self.contents.keys()
        assert [name for name in found if found[name] != self.contents[name]] == []
        for stage, total in report_of(folder)["stages"].items():
            balance = total["rows_out"] + sum(total["rejected"].values()) + sum(total["failures"].values())
            assert balance == total["rows_in"] == self.stages[stage]["rows_in"]
