"""Progress is kept beside the shards, and served to Prometheus."""

import asyncio
import socket
import urllib.request
from pathlib import Path

import pytest
from run_states import RUN, counters, report, snapshot

from stepforge.pipelines.progress.prometheus import MetricsPort, check_metrics
from stepforge.pipelines.progress.snapshot import PROGRESS_FILE, read_snapshot
from stepforge.pipelines.progress.status import run_status, status_text
from stepforge.pipelines.progress.watch import Progress
from stepforge.pipelines.run_folder.plan import ShardPlan, plan_shards
from stepforge.pipelines.run_folder.settings_guard import guard_settings
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import Workers
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem

# The file, and what `status` makes of it


class Engine:
    """A worker as progress knows it."""

    asked = 0

    async def counters(self, seconds: float) -> dict[str, int]:
        self.asked += 1
        return counters(20)


def run_folder(folder: Path) -> tuple[Layout, list[ShardPlan]]:
    """A run of four shards: 0 and 1 are through, 2 is solved, and of 3 a later file is left that no longer counts."""
    layout = Layout(folder)
    guard_settings(RUN, layout)
    plan = plan_shards(RUN, folder)
    done = [(stage, i) for i in (0, 1) for stage in SHARD_STAGES]
    done += [("generate", 2), ("solve", 2), ("generate", 3), ("label", 3)]
    for stage, index in done:
        metadata = {
            "run": content_digest(RUN),
            "report": report(stage, index, rollouts=7, rows=5).model_dump(mode="json"),
        }
        write_shard(layout.shard(stage, index), [], Problem if stage == "generate" else LabeledProblem, metadata)
    return layout, plan


async def watched(progress: Progress, engine: Engine) -> None:
    task = asyncio.create_task(progress.watch([engine.counters]))
    while engine.asked < 2 or progress.snapshot().stages["solve"].rows_out < 15:  # noqa: ASYNC110 - read in a thread
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_progress_is_kept_beside_the_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.progress.watch.ASK_SECONDS", 0.02)
    layout, plan = run_folder(tmp_path)
    progress = Progress(layout, plan, quiet=True, run=RUN)
    asyncio.run(watched(progress, Engine()))
    while_running = read_snapshot(tmp_path)
    assert while_running is not None
    assert not while_running.ended
    progress.done(report("vet", 2, rows=5), replayed=3)
    progress.close()
    kept = read_snapshot(tmp_path)
    assert kept is not None
    assert kept.ended
    shards = {stage: kept.stages[stage].shards for stage in SHARD_STAGES}
    assert shards == {"generate": 4, "solve": 3, "vet": 3, "label": 2, "curate": 2}
    assert kept.stages["solve"].rows_out == 15
    assert (kept.engine.rollouts, kept.engine.replayed) == (20, 3)
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_place_that_takes_no_file_stops_nothing(tmp_path: Path) -> None:
    layout, plan = run_folder(tmp_path)
    progress = Progress(layout, plan, quiet=True, run=RUN)
    (tmp_path / PROGRESS_FILE).mkdir()
    progress.close()
    assert read_snapshot(tmp_path) is None


def test_status_tells_a_stopped_run_from_a_killed_one_and_from_one_at_work(tmp_path: Path) -> None:
    from stepforge.pipelines.run_folder.lock import only_driver

    layout, plan = run_folder(tmp_path)
    never = status_text(run_status(tmp_path))
    assert f"to resume: stepforge run {tmp_path}/run.toml --out {tmp_path}" in never
    assert "driver" not in never
    progress = Progress(layout, plan, quiet=True, run=RUN)
    asyncio.run(watched(progress, Engine()))
    killed = status_text(run_status(tmp_path))
    assert "it was killed" in killed
    with only_driver(layout):
        state = run_status(tmp_path)
    assert state.state == "running"
    assert state.progress is not None
    assert state.progress.engine.rollouts >= 10
    assert state.progress_age_seconds is not None
    assert state.progress_age_seconds >= 0
    assert "driver: running; last reported " in status_text(state)
    assert "go on" not in status_text(state)
    progress.close()
    assert "; it ended" in status_text(run_status(tmp_path))
    with only_driver(layout):
        assert "it is starting up, or exporting and reporting" in status_text(run_status(tmp_path))


def test_a_file_of_another_version_is_no_progress(tmp_path: Path) -> None:
    (tmp_path / PROGRESS_FILE).write_text('{"written": 1, "color": "red"}')
    assert read_snapshot(tmp_path) is None


# The port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_prometheus_finds_the_figures() -> None:
    port = free_port()
    metrics = MetricsPort(Workers(metrics_port=port), port)
    try:
        assert scraped(port) == {}
        metrics.snapshot = snapshot()
        found = scraped(port)
        with pytest.raises(BadInput, match=rf"workers.metrics_port: 127.0.0.1:{port} cannot be used"):
            check_metrics(Workers(metrics_port=port))
    finally:
        metrics.close()
    assert found['stepforge_shards_done{stage="label"}'] == 2
    assert found['stepforge_rows{stage="vet",way="out"}'] == 33
    assert found['stepforge_rows_lost{kind="rejected",reason="difficulty: too hard",stage="vet"}'] == 7
    assert found["stepforge_rollouts_total"] == 10
    assert found["stepforge_engine_running"] == 96
    assert found["stepforge_tokens_per_second"] == 4210
    assert found["stepforge_seconds_left"] == 4000
    check_metrics(Workers(metrics_port=port))


def test_a_run_serves_its_metrics_until_it_closes(tmp_path: Path) -> None:
    layout, plan = run_folder(tmp_path)
    port = free_port()
    run = RUN.model_copy(update={"workers": Workers(metrics_port=port)})
    progress = Progress(layout, plan, quiet=True, run=run)
    asyncio.run(watched(progress, Engine()))
    assert scraped(port)['stepforge_shards_done{stage="label"}'] == 2
    progress.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
