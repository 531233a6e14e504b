"""SIGKILL with a real local Ray: of its workers, of its raylet, of the driver above it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos import Reference, run
from chaos_processes import RAYLET, RayRun
from chaos_runs import write_run

SETTINGS = {"problems": 24, "rows": 2, "latency": 150}
SOAK = [pytest.mark.soak, pytest.mark.timeout(7200)]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(tmp_path_factory.mktemp("ray"), **SETTINGS, workers=6)


def with_ray(folder: Path, **settings: Any) -> Path:
    """The same run, for a Ray with two workers of each kind; where and how fast is free to change."""
    return write_run(folder, **SETTINGS, workers=2, **settings)


@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.slow), pytest.param(100, marks=SOAK)])
def test_killed_workers_are_replaced_and_nothing_is_lost(
    reference: Reference, tmp_path: Path, kills: int, tell: Callable[[str], None]
) -> None:
    rng, killed, runs = Random(kills), Counter[str](), 0
    while killed.total() < kills:
        out = tmp_path / f"run-{runs}"
        going = RayRun(with_ray(tmp_path, restarts=100), out, tmp_path / "said")
        killed.update(going.kill_some(min(10, kills - killed.total()), rng))
        assert going.end() == 0, going.said
        assert going.clear() == []
        reference.check(out)
        runs += 1
    tell(f"workers killed under Ray: {dict(killed)} in {runs} runs, each went on to its end with identical bytes")


@pytest.mark.slow
def test_a_killed_raylet_ends_the_run_with_a_line(
    reference: Reference, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """Of one engine with one shard at a time, so that the run is still under way when Ray notices."""
    slow = with_ray(tmp_path, in_flight=1)
    going = RayRun(slow, tmp_path / "out", tmp_path / "said")
    assert going.wait_until(lambda: going.shards("solved") >= 1)
    (raylet,) = going.processes(RAYLET)
    going.kill(raylet)
    assert going.end() == 1
    (line,) = [line for line in going.said.splitlines() if line.startswith("stepforge: ")]
    said = "the local Ray has died: its raylet is gone; finished work is kept, run the same command to resume"
    assert line == f"stepforge: {said}"
    assert "Traceback" not in going.said
    assert going.clear() == []
    before = going.shards()
    run(reference.run_file, tmp_path / "out")
    reference.check(tmp_path / "out")
    tell(f"raylet killed with {before} shards done: exit code 1, {line!r}; resumed to identical bytes")


@pytest.mark.parametrize("kills", [pytest.param(3, marks=pytest.mark.slow), pytest.param(20, marks=SOAK)])
def test_a_killed_driver_takes_its_ray_along(
    reference: Reference, tmp_path: Path, kills: int, tell: Callable[[str], None]
) -> None:
    """The next driver comes at once, while orphans of the killed one may still live."""
    rng, out, hits, runs = Random(kills), tmp_path / "out-0", [], 0
    while len(hits) < kills:
        going = RayRun(with_ray(tmp_path), out, tmp_path / "said")
        wanted = going.shards() + rng.randint(1, 20)
        if going.wait_until(lambda going=going, wanted=wanted: going.shards() >= wanted):  # type: ignore[misc]
            going.kill(going.process.pid)
            hits.append(going.shards())
        if going.process.poll() == 0 or len(hits) == kills or going.shards() > 45:
            run(reference.run_file, out)
            reference.check(out)
            runs += 1
            out = tmp_path / f"out-{runs}"
        assert going.clear() == []
    tell(f"driver killed {kills} times above a local Ray (at {hits} of 60 shards): no process left, identical bytes")
