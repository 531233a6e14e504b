"""What our own code does with engines that cost nothing but time: scaling over workers, and memory over a long run.

    python -m benchmarks.orchestration            # scaling
    python -m benchmarks.orchestration --memory   # memory over 1,000,000 rollouts

The engine is the scripted one with a fixed latency and a fixed number of requests at a time, so that its speed is known
exactly: ``requests / latency``. Whole runs go through the real driver, Ray and files. *Scaling*: every worker gets
the same number of problems; the time is that from the first shard's start in solve to the last one's end in label, and
what one worker does in it, times the workers, is the ideal. *Memory*: resident memory of driver and worker is
sampled all along a run; flat means that the last tenth needs no more than the first.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import psutil
import typer

from benchmarks.measured import keep, machine

RUN_FILE = Path(__file__).with_suffix(".toml")


class Measured(NamedTuple):
    rollouts: int
    seconds: float
    engine_seconds: float
    memory: list[dict[str, float]]
    """Of the driver and of its largest worker, in MiB, twice a second."""


def run(folder: Path, *, problems: int, workers: int, latency: float, requests: int) -> Measured:
    """Do one run in a process of its own; return its figures."""
    command = [sys.executable, "-m", "stepforge", "run", str(RUN_FILE), "--out", str(folder), "--quiet", "--json"]
    size = {"problems": problems, "workers.engine": workers}
    for name, value in {**size, "workers.requests_in_flight": requests, "engine.latency_ms": latency}.items():
        command += ["--set", f"{name}={value}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    memory: list[dict[str, float]] = []
    while process.poll() is None:
        memory.append(resident(process.pid))
        time.sleep(0.5)
    printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"the run failed with {process.returncode}")
    report = json.loads(printed)
    (session,) = report["cost"]["sessions"]
    solve, label = session["stages"]["solve"], session["stages"]["label"]
    engine_seconds = solve["engine_seconds"] + label["engine_seconds"]
    return Measured(report["cost"]["rollouts"], label["last"] - solve["first"], engine_seconds, memory)


def resident(driver: int) -> dict[str, float]:
    """Return resident memory in MiB of the driver and of its largest worker."""
    found = {"driver": 0.0, "worker": 0.0}
    try:
        parent = psutil.Process(driver)
        found["driver"] = parent.memory_info().rss / 2**20
        for child in parent.children(recursive=True):
            if child.name().startswith("ray::EngineWork"):
                found["worker"] = max(found["worker"], child.memory_info().rss / 2**20)
    except psutil.NoSuchProcess:
        pass
    return found


def scaling(problems: int, latency: float, requests: int, counts: list[int]) -> list[dict[str, float]]:
    """Measure runs of ``problems`` problems per worker."""
    rows: list[dict[str, float]] = []
    print(f"{'workers':>7} {'rollouts':>9} {'seconds':>8} {'rollouts/s':>11} {'of ideal':>9} {'engine busy':>12}")
    for workers in counts:
        with tempfile.TemporaryDirectory() as folder:
            found = run(Path(folder), problems=problems * workers, workers=workers, latency=latency, requests=requests)
        rate, busy = found.rollouts / found.seconds, found.engine_seconds / (workers * found.seconds)
        of_ideal = rate / (workers * (rows[0]["rate"] if rows else rate))
        row = {"workers": workers, "rollouts": found.rollouts, "seconds": found.seconds}
        rows.append(row | {"rate": rate, "of_ideal": of_ideal, "busy": busy})
        cells = f"{found.rollouts:>9} {found.seconds:>8.1f} {rate:>11.0f} {of_ideal:>9.2f} {busy:>12.2f}"
        print(f"{workers:>7} {cells}", flush=True)
    return rows


def over_a_run(rollouts: int) -> dict[str, object]:
    problems = max(100, rollouts // 50)  # what one of these problems takes, about
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), problems=problems, workers=1, latency=0, requests=4096)
    samples = [sample for sample in found.memory if sample["worker"] > 0]
    rows = []
    print(f"{found.rollouts} rollouts in {found.seconds:.0f} s")
    print(f"{'part of the run':>16} {'driver':>8} {'worker':>8} (MiB)")
    for tenth in (1, 2, 5, 8, 10):
        part = samples[(tenth - 1) * len(samples) // 10 : tenth * len(samples) // 10]
        row = {name: round(max(sample[name] for sample in part)) for name in ("driver", "worker")}
        rows.append({"tenth": tenth, **row})
        print(f"{f'tenth {tenth}':>16} {row['driver']:>8} {row['worker']:>8}")
    return {"rollouts": found.rollouts, "seconds": found.seconds, "memory_mib": rows}


def main(
    workers: Annotated[list[int] | None, typer.Argument()] = None,
    memory: bool = False,
    rollouts: int = 1_000_000,
    problems: int = 160,
    latency: float = 400.0,
    requests: int = 64,
) -> None:
    """``problems``: a worker; ``latency``: of every request, in milliseconds; ``requests``: computed at a time."""
    print(f"{machine()}; other work on the machine shows up as less than ideal")
    if memory:
        keep("orchestration.json", "memory", {"machine": machine(), **over_a_run(rollouts)})
        return
    rows = scaling(problems, latency, requests, workers or [1, 2, 4, 8])
    setting = {"problems_per_worker": problems, "latency_ms": latency, "requests": requests}
    keep("orchestration.json", "scaling", {"machine": machine(), **setting, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
