"""What a person sees of a run: speeds, the estimated end, the live table, the file, the port, the status."""

import asyncio
import contextlib
import io
import json
import os
import pty
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from stepforge.pipelines.progress.engine_meter import EngineMeter
from stepforge.pipelines.progress.live_table import JsonLines, Lines, LiveTable, Nothing, live_table, view_of
from stepforge.pipelines.progress.pace import Pace
from stepforge.pipelines.progress.prometheus import MetricsPort, check_metrics
from stepforge.pipelines.progress.snapshot import (
    PROGRESS_FILE,
    EngineProgress,
    Snapshot,
    Speed,
    StageProgress,
    read_snapshot,
)
from stepforge.pipelines.progress.status import run_status, status_text
from stepforge.pipelines.progress.text import duration, end_text, engine_text, progress_line, rate, reasons
from stepforge.pipelines.progress.watch import Progress
from stepforge.pipelines.run_folder.ledger import ShardReport, price, stage_totals
from stepforge.pipelines.run_folder.plan import FAMILIES, ShardPlan, plan_shards
from stepforge.pipelines.run_folder.settings_guard import guard_settings
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import RunFile, Workers
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Cost, LabeledProblem
from stepforge.schemas.problem import Problem

RUN = RunFile.model_validate(
    {
        "problems": 20,
        "rows_per_shard": 5,
        "generate": [{"kind": "sequence"}],
        "engine": {"kind": "scripted"},
        "label": [{"kind": "omega_prm"}],
    }
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def counters(rollouts: int, *, busy: float = 0.0, **more: int) -> dict[str, int]:
    tokens = {"generated_tokens": 10 * rollouts, "prompt_tokens": 40 * rollouts, "cached_tokens": 10 * rollouts}
    return {"rollouts": rollouts, **tokens, "busy_ms": int(busy * 1000), "running": 3, **more}


def fed(meter: EngineMeter, clock: Clock, *steps: tuple[float, Sequence[dict[str, int]]]) -> EngineMeter:
    for seconds, answers in steps:
        clock.now += seconds
        meter.take(answers)
    return meter


# The engines' counters


def test_speeds_begin_with_the_first_completion_and_look_back_a_minute() -> None:
    clock = Clock()
    meter = fed(EngineMeter(clock), clock, (0, [{}]), (300, [counters(0)]))  # five minutes to load a model
    assert meter.figures().mean is None
    fed(meter, clock, *((10, [counters(100 * i, busy=10 * i)]) for i in range(1, 13)))
    slow = fed(meter, clock, *((10, [counters(1200 + 20 * i, busy=120 + 5 * i)]) for i in range(1, 7))).figures()
    assert slow.mean == Speed(rollouts=1320 / 180, tokens=13_200 / 180)
    assert slow.recent == Speed(rollouts=2.0, tokens=20.0)
    assert slow.busy == pytest.approx(0.5)
    assert slow.cached_share == 0.25


def test_the_recent_past_is_longer_where_little_happens() -> None:
    clock = Clock()
    meter = fed(EngineMeter(clock), clock, *((30, [counters(i)]) for i in range(300)))
    recent = meter.figures().recent
    assert recent is not None
    assert recent.rollouts == pytest.approx(1 / 30)
    assert meter.figures().mean == recent


def test_a_worker_started_anew_is_counted_on() -> None:
    clock = Clock()
    steps = [(1.0, [counters(50), counters(10)]), (1.0, [{}, counters(20)]), (1.0, [counters(5), counters(30)])]
    meter = fed(EngineMeter(clock), clock, *steps)
    figures = meter.figures()
    assert (figures.rollouts, figures.engines, figures.answering) == (85, 2, 2)
    assert fed(meter, clock, (1.0, [{}, counters(31)])).figures().answering == 1


def test_an_engine_that_answers_nothing_is_said_to_be_silent() -> None:
    clock = Clock()
    busy = counters(5) | {"running": 3}
    meter = fed(EngineMeter(clock), clock, (0, [counters(0)]), (10, [busy]), (20, [busy]))
    assert "no answer for" not in engine_text(meter.figures())
    assert "no answer for 50 s" in engine_text(fed(meter, clock, (30, [busy])).figures())
    assert "no answer for" not in engine_text(fed(meter, clock, (30, [busy | {"rollouts": 6}])).figures())
    idle = fed(meter, clock, (90, [counters(6) | {"running": 0}])).figures()
    assert idle.silent_seconds == 0


def test_an_idle_engine_that_is_asked_again_is_not_silent_at_once() -> None:
    clock = Clock()
    meter = fed(EngineMeter(clock), clock, (0, [counters(0)]), (500, [counters(1) | {"running": 0}]))
    assert fed(meter, clock, (1, [counters(1) | {"running": 2}])).figures().silent_seconds == 1


@pytest.mark.parametrize(
    ("per_second", "said"), [(0.0, "0"), (0.04, "0.04"), (0.96, "0.96"), (3.14, "3.1"), (1234.5, "1,234")]
)
def test_a_slow_rate_is_not_nothing(per_second: float, said: str) -> None:
    assert rate(per_second) == said


def test_what_no_engine_tells_is_unknown() -> None:
    clock = Clock()
    figures = fed(EngineMeter(clock), clock, (1.0, [counters(1)])).figures()
    assert (figures.capacity, figures.waiting, figures.occupancy) == (None, None, None)
    told = fed(EngineMeter(clock), clock, (1.0, [counters(1, capacity=12, waiting=4)] * 2)).figures()
    assert (told.capacity, told.waiting, told.occupancy) == (24, 8, 0.25)


# The estimated end


def shard_plan(count: int) -> list[ShardPlan]:
    return [ShardPlan(index=i, source=FAMILIES, start=10 * i, stop=10 * i + 10) for i in range(count)]


def report(stage: ShardStage, shard: int, rollouts: int = 0, rows: int = 10) -> ShardReport:
    cost = Cost(rollouts=rollouts, generated_tokens=10 * rollouts)
    return ShardReport(stage=stage, shard=shard, rows_in=rows, rows_out=rows, cost=cost)


def test_the_end_is_the_work_left_at_the_recent_speed() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(4):
        for stage, rollouts in (("generate", 0), ("solve", 20), ("vet", 0), ("label", 80)):
            pace.done(report(stage, i, rollouts), now=True)  # type: ignore[arg-type]
    fed(meter, clock, (50, [counters(450)]))
    # 6 shards are left at 100 rollouts each, 50 are made for them already, and 9 a second are made
    assert pace.seconds_left(meter, 50) == pytest.approx((600 - 50) / 9)


@pytest.mark.parametrize(
    ("labelled", "rollouts", "seconds"),
    [(1, 500, 60.0), (4, 20, 60.0), (4, 500, 5.0)],
    ids=["shards", "rollouts", "time"],
)
def test_the_end_is_unknown_until_enough_is_seen(labelled: int, rollouts: int, seconds: float) -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(4):
        pace.done(report("solve", i, 20), now=True)
    for i in range(labelled):
        pace.done(report("label", i, 80), now=True)
    fed(meter, clock, (seconds, [counters(rollouts)]))
    assert pace.seconds_left(meter, seconds) is None


def test_shards_of_earlier_sessions_tell_the_work_and_never_the_speed() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(9):
        pace.done(report("solve", i, 20), now=False)
        pace.done(report("label", i, 80), now=False)
    assert pace.seconds_left(meter, 1) is None
    fed(meter, clock, (20, [counters(60)]))
    assert pace.seconds_left(meter, 20) == pytest.approx((100 - 60) / 3)


def test_replayed_completions_are_neither_speed_nor_work_done_twice() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(4)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(2):  # of 200 rollouts, 150 came from the journal
        pace.done(report("solve", i, 20), now=True)
        pace.done(report("label", i, 80), now=True)
    fed(meter, clock, (25, [counters(50)]))
    assert pace.seconds_left(meter, 25) == pytest.approx(200 / 2)
    fed(meter, clock, (25, [counters(100)]))  # 50 more, for shards that are not committed yet
    assert pace.seconds_left(meter, 50) == pytest.approx((200 - 50) / 2)


def test_the_pilot_of_the_rates_does_not_speak_for_the_others() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10), pilot={0, 1, 2}), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(10):
        pace.done(report("solve", i, 20), now=True)
    for i, rollouts in enumerate((300, 300, 300, 80, 80)):
        pace.done(report("label", i, rollouts), now=True)
    fed(meter, clock, (100, [counters(1260)]))
    assert pace.seconds_left(meter, 100) == pytest.approx(5 * 80 / 12.6)


def test_a_finished_run_has_nothing_left() -> None:
    pace = Pace(shard_plan(2))
    for stage in SHARD_STAGES:
        for i in range(2):
            pace.done(report(stage, i), now=False)
    assert pace.seconds_left(EngineMeter(), 1.0) == 0.0


# The views


def snapshot(**more: object) -> Snapshot:
    stages = {stage: StageProgress(shards=4) for stage in SHARD_STAGES}
    stages["vet"] = StageProgress(shards=4, rows_in=40, rows_out=33, rejected={"difficulty: too hard": 7})
    stages["label"] = StageProgress(shards=2, rows_in=20, rows_out=19, failures={"TimeoutError": 1})
    engine = EngineProgress(
        engines=2,
        answering=1,
        rollouts=10,
        prompt_tokens=100,
        cached_tokens=63,
        cancelled=1234,
        running=96,
        waiting=7,
        capacity=512,
        busy=0.98,
        recent=Speed(rollouts=41.2, tokens=4210),
        mean=Speed(rollouts=38, tokens=3980),
    )
    settings = {
        "written": 1000.0,
        "elapsed": 75.0,
        "shards": 4,
        "stages": stages,
        "engine": engine,
        "seconds_left": 4000,
    }
    return Snapshot.model_validate(settings | more)


FILL = "96 of 512 running, 7 waiting, busy 98%, 1 of 2 engines not answering"
SPEED = "41 rollouts/s (mean 38), 4,210 tokens/s (mean 3,980), 63% of prompt tokens cached, 1,234 cancelled"


def test_a_line_says_everything() -> None:
    line = progress_line(snapshot())
    assert line.startswith("[   75s] generate 4/4 solve 4/4 vet 4/4 label 2/4 curate 4/4 | ")
    assert f" | {FILL}, {SPEED} | " in line
    assert "about 1 h 6 min left, until " in line
    assert line.endswith("failures: 1 TimeoutError")
    assert "end unknown yet" in progress_line(snapshot(seconds_left=None))


def rendered(**options: object) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, **options)  # type: ignore[arg-type]
    console.print(live_table(snapshot()))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_live_table_says_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    text = rendered()
    for part in ("4/4", "2/4", "33 of 40", "1 min 15 s, about 1 h 6 min left", FILL, SPEED):
        assert part in text
    assert "rejected vet: 7 difficulty: too hard" in text
    assert "failures label: 1 TimeoutError" in text
    assert not any(f"\x1b[{colour}m" in text for colour in (31, 32))
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[32m" in rendered()


def test_what_others_write_goes_above_the_live_table(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    view = LiveTable(Console(file=file, force_terminal=True, width=150, height=40))
    view.show(snapshot())
    print("\x1b[36m(EngineWorker pid=7)\x1b[0m a worker's line")
    after = file.getvalue().split("a worker's line")[1]
    view.close()
    assert "stage" in after
    assert "63% of prompt tokens cached" in after
    assert "a worker's line" not in capfd.readouterr().out


def test_which_view_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(view_of(quiet=True, as_json=True), Nothing)
    assert isinstance(view_of(quiet=False, as_json=True), JsonLines)
    assert isinstance(view_of(quiet=False, as_json=False), Lines)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(view_of(quiet=False, as_json=False), Lines)
    monkeypatch.setenv("TERM", "xterm")
    terminal = view_of(quiet=False, as_json=False)
    terminal.close()
    assert isinstance(terminal, LiveTable)


def test_a_line_of_json_is_a_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLines().show(snapshot())
    event = json.loads(capsys.readouterr().err)
    assert event.pop("event") == "progress"
    assert Snapshot.model_validate(event) == snapshot()


def test_words_for_spans_reasons_and_ends() -> None:
    spans = {3.2: "3 s", 61: "1 min 1 s", 120: "2 min", 3_700: "1 h 1 min", 90_000: "1 d 1 h", 59.7: "60 s"}
    assert {seconds: duration(seconds) for seconds in spans} == spans
    assert reasons({str(i): i for i in range(1, 9)}) == "8 8, 7 7, 6 6, 5 5, 4 4, 3 3, 3 for other reasons"
    done = {stage: StageProgress(shards=4) for stage in SHARD_STAGES}
    assert end_text(snapshot(stages=done)) == "every shard is done"
    assert engine_text(EngineProgress()) == "no engine"


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
    task = asyncio.create_task(progress.watch([engine]))  # type: ignore[list-item]
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
    progress = Progress(layout, plan, quiet=True)
    (tmp_path / PROGRESS_FILE).mkdir()
    progress.close()
    assert read_snapshot(tmp_path) is None


def test_status_tells_a_stopped_run_from_a_killed_one_and_from_one_at_work(tmp_path: Path) -> None:
    from stepforge.pipelines.run_folder.lock import only_driver

    layout, plan = run_folder(tmp_path)
    never = status_text(run_status(tmp_path))
    assert f"go on: stepforge run {tmp_path}/run.toml --out {tmp_path}" in never
    assert "driver" not in never
    progress = Progress(layout, plan, quiet=True, run=RUN)
    asyncio.run(watched(progress, Engine()))
    killed = status_text(run_status(tmp_path))
    assert "it was killed: it did not say good-bye" in killed
    with only_driver(layout):
        state = run_status(tmp_path)
    assert state["state"] == "running"
    assert state["progress"]["engine"]["rollouts"] >= 10
    assert 0 <= state["progress_age_seconds"] < 60
    assert "driver: at work; said " in status_text(state)
    assert "go on" not in status_text(state)
    progress.close()
    assert "; it ended" in status_text(run_status(tmp_path))
    with only_driver(layout):
        assert "it starts, or exports and reports" in status_text(run_status(tmp_path))


def test_a_file_of_another_version_is_no_progress(tmp_path: Path) -> None:
    (tmp_path / PROGRESS_FILE).write_text('{"written": 1, "colour": "red"}')
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


def test_metrics_without_the_package_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.progress.prometheus.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"stepforge\[metrics\]"):
        check_metrics(Workers(metrics_port=9))
    check_metrics(Workers())


# The books


def test_prices_divide_what_was_spent_by_what_was_kept() -> None:
    solve = report("solve", 0, 20)
    label = report("label", 0, 80)
    curate = report("curate", 0).model_copy(update={"rows_out": 8, "rejected": {"decided: x": 2}, "labelled_steps": 40})
    stages = stage_totals([solve, label, curate])
    stages["label"] = stages["label"].model_copy(update={"engine_seconds": 6.0})
    stages["solve"] = stages["solve"].model_copy(update={"engine_seconds": 2.0})
    by_step, by_row = price(stages, 40), price(stages, 8)
    assert by_step is not None
    assert (by_step.count, by_step.rollouts) == (40, 2.5)
    assert by_row is not None
    assert (by_row.generated_tokens, by_row.engine_seconds) == (125.0, 1.0)
    assert price(stage_totals([solve]), 0) is None


@pytest.mark.slow
def test_on_a_terminal_the_table_is_live_and_the_report_stays_apart(tmp_path: Path) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(RUN.toml())
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "stepforge", "run", str(run_file), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, text=True, env=environment)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the run is
        while part := os.read(ours, 65_536):
            shown += part
    out, _ = process.communicate(timeout=120)
    os.close(ours)
    assert process.returncode == 0
    assert out.startswith("stage")
    assert "\x1b" not in out
    assert b"\x1b[1A" in shown
    assert b"every shard is done" in shown
    assert b"all figures:" not in shown
