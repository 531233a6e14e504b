"""Whole runs in processes that may end at any moment: ``stepforge run`` with everything but Ray, or with Ray too.

Without Ray the driver, the pool, the workers, the journal and the files are the real ones; only the workers' actors
live in the driver's own process. That makes a run cheap enough to be killed hundreds of times.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chaos_files import CRASH, install
from chaos_runs import contents, left_behind, report_of, write_run


class LocalActor:
    """Stands for a Ray actor: the same object, asked in the same way, in this process; its errors come as Ray's do."""

    def __init__(self, worker: object) -> None:
        self.worker = worker

    def __getattr__(self, method: str) -> SimpleNamespace:
        from ray.exceptions import RayTaskError

        function = getattr(self.worker, method)

        async def answer(*arguments: Any) -> Any:
            try:
                return await function(*arguments)
            except Exception as error:
                raise RayTaskError(method, str(error), error, "local", 1, "127.0.0.1") from error

        return SimpleNamespace(remote=lambda *arguments: asyncio.get_running_loop().create_task(answer(*arguments)))


def without_ray() -> None:
    """Give this process's runs workers that live in it."""
    import ray

    from stepforge.pipelines.run import driver, pool

    def workers(kind: type, run: Any, folder: Any, session: str, count: int, options: Any) -> list[Any]:
        return [
            pool.Worker(lambda: LocalActor(kind(run, folder, session)), run.workers.max_restarts) for _ in range(count)
        ]

    pool._workers = workers  # type: ignore[assignment]
    pool.ray_is_lost = lambda: False
    pool.engine_gpus = lambda run: 0.0
    ray.kill = lambda actor, no_restart: None  # type: ignore[assignment]
    driver.start_ray = driver.stop_ray = lambda **_: None


def stepforge(arguments: list[str], out: Path, prepare: Callable[[], None] | None) -> None:
    """Be ``stepforge`` without Ray: the body of a process."""
    os.setsid()
    with out.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    without_ray()
    os.fsync = lambda _: None  # a kill loses nothing that was written; a power cut is not tried
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

    def __init__(self, *arguments: str | Path, out: Path, prepare: Any = None) -> None:
        self.out = out
        self.process: ForkServerProcess = _forkserver().Process(
            target=stepforge, args=([str(a) for a in arguments], out, prepare)
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


def crashed(run_file: Path, folder: Path, stage: str = "labeled") -> None:
    """Do a run that ends in a crash before it commits the second shard of a stage; its journal stays."""
    log, at = folder.with_suffix(".operations"), f"open /{stage}/.part-00001.parquet.PID.tmp #1"
    run(run_file, folder, prepare=partial(install, folder, log, at, None, 0.02), expect=CRASH)


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
