"""Progress as a line, a live table and JSON; what is printed at the end."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from run_states import RUN, Clock, counters, fed, report, snapshot

from stepforge.pipelines.progress.engine_meter import EngineMeter
from stepforge.pipelines.progress.snapshot import (
    EngineProgress,
    Snapshot,
    duration,
    end_text,
    engine_text,
    fill_text,
    progress_line,
)
from stepforge.pipelines.progress.views import live_text, view_of
from stepforge.pipelines.run_folder.ledger import StageTotal, price, stage_totals
from stepforge.pipelines.storage.layout import SHARD_STAGES
from stepforge.pipelines.terminal.tables import reasons

FILL = "96 of 512 running, 7 waiting, busy 98%, 1 of 2 engines not answering"
SPEED = "41.2 rollouts/s (mean 38.0), 4,210 tokens/s (mean 3,980), 63% of prompt tokens cached, 1,234 canceled"


def test_a_line_says_everything() -> None:
    line = progress_line(snapshot())
    assert line.startswith("[   75s] generate 4/4 solve 4/4 vet 4/4 label 2/4 curate 4/4 | ")
    assert f" | {FILL}, {SPEED} | " in line
    assert "about 1 h 6 min left, until " in line
    assert line.endswith("failures: 1 TimeoutError")
    assert "end unknown yet" in progress_line(snapshot(seconds_left=None))


def test_the_live_view_says_everything() -> None:
    text = live_text(snapshot())
    for part in ("4/4", "2/4", "40       33        7         0", "1 min 15 s, about 1 h 6 min left", FILL, SPEED):
        assert part in text
    assert "rejected vet: 7 difficulty: too hard" in text
    assert "failures label: 1 TimeoutError" in text


def test_which_view_is_taken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    view_of(quiet=True, as_json=True).show(snapshot())
    assert capsys.readouterr().err == ""
    view_of(quiet=False, as_json=False).show(snapshot())
    assert capsys.readouterr().err == f"{progress_line(snapshot())}\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert view_of(quiet=False, as_json=False).seconds == 5.0
    monkeypatch.setenv("TERM", "xterm")
    terminal = view_of(quiet=False, as_json=False)
    terminal.close()
    assert terminal.seconds == 1.0


def test_a_line_of_json_is_a_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    view_of(quiet=False, as_json=True).show(snapshot())
    event = json.loads(capsys.readouterr().err)
    assert event.pop("event") == "progress"
    assert Snapshot.model_validate(event) == snapshot()


def test_words_for_spans_reasons_and_ends() -> None:
    spans = {3.2: "3 s", 61: "1 min 1 s", 120: "2 min", 3_700: "1 h 1 min", 90_000: "1 d 1 h", 59.7: "60 s"}
    assert {seconds: duration(seconds) for seconds in spans} == spans
    assert reasons({str(i): i for i in range(1, 9)}) == "8 8; 7 7; 6 6; 5 5; 4 4; 3 3; 3 for other reasons"
    done = {stage: StageTotal(shards=4) for stage in SHARD_STAGES}
    assert end_text(snapshot(stages=done)) == "every shard is done"
    assert engine_text(EngineProgress()) == "no engine"


# The books


def test_prices_divide_what_was_spent_by_what_was_kept() -> None:
    solve = report("solve", 0, 20)
    label = report("label", 0, 80)
    curate = report("curate", 0).model_copy(update={"rows_out": 8, "rejected": {"decided: x": 2}, "labeled_steps": 40})
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
    assert process.returncode == 0, shown.decode()[-2000:]
    assert out.startswith("stage")
    assert "\x1b" not in out
    assert b"\x1b[1A" in shown
    assert b"every shard is done" in shown
    assert b"all figures:" not in shown


def test_an_engine_that_loads_is_not_called_dead() -> None:
    clock = Clock()
    meter = fed(EngineMeter(clock), clock, (1.0, [{}, counters(0) | {"checking": 1}]))
    assert fill_text(meter.figures()).endswith("1 of 2 engines starting, 1 of 2 engines being checked")
    assert fill_text(fed(meter, clock, (1.0, [{}, {}])).figures()).endswith(
        "1 of 2 engines starting, 1 of 2 engines not answering"
    )


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
