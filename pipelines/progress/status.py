"""Reading an existing run folder: its settings, its state, its figures."""

import json
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Literal

from stepforge.pipelines.progress.snapshot import Snapshot, duration, end_text, engine_text, read_snapshot, stages_text
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.report import measured, save_report
from stepforge.pipelines.run_folder.ledger import StageTotal, build_ledger, committed_reports, save_ledger, stage_totals
from stepforge.pipelines.run_folder.lock import is_held, only_driver
from stepforge.pipelines.run_folder.plan import read_plan
from stepforge.pipelines.run_folder.sessions import past_sessions
from stepforge.pipelines.run_folder.settings_guard import check_unchanged
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import folder_settings
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.regular_files import check_tree, read_small
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput, RunFailed, first_line
from stepforge.schemas.record import Record


def open_run(folder: AnyPath) -> tuple[RunFile, Layout]:
    """Return the settings and the layout of a run folder. Raises BadInput: it is not a run folder, holds links or other
    special files, or its ``run.toml`` is not what the shards were made with."""
    if isinstance(folder, Path) and not folder.is_dir():
        raise BadInput(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; give a run folder")
    layout = Layout(folder)
    check_tree(folder)
    if not layout.run_file.exists():
        raise BadInput(f"{folder}: not a run folder (no run.toml in it); `stepforge run` makes one")
    run = folder_settings(layout.run_file)
    check_unchanged(run, layout)
    return run, layout


def fresh_report(folder: AnyPath) -> Report:
    """Return the figures of what is committed, measured without a lock, so a read-only folder works too.

    They are written to ``report.json`` at the end, unless a driver is running there, which writes its own.
    """
    run, layout = open_run(folder)
    ledger = build_ledger(layout, past_sessions(layout))
    found = measured(run, layout, ledger)
    with suppress(BadInput), only_driver(layout):
        save_ledger(layout, ledger)
        save_report(run, layout, found)
    return found.report


class RunStatus(Record):
    folder: str
    state: Literal["running", "finished", "stopped"]
    shards: int
    stages: dict[ShardStage, StageTotal]
    progress: Snapshot | None
    progress_age_seconds: float | None
    go_on: str | None


def run_status(folder: AnyPath) -> RunStatus:
    _, layout = open_run(folder)
    shards = len(layout.shards("label")) if layout.rule.exists() else len(read_plan(folder))
    totals = stage_totals(committed_reports(layout, whole=False))
    stages = {stage: totals.get(stage, StageTotal()) for stage in SHARD_STAGES}
    running = is_held(layout)
    whole = shards > 0 and stages["label"].shards == stages["curate"].shards == shards
    finished = whole and layout.report.exists() and not layout.unsettled.exists() and not running
    told = read_snapshot(folder)
    return RunStatus(
        folder=str(folder),
        state="running" if running else "finished" if finished else "stopped",
        shards=shards,
        stages=stages,
        progress=told,
        progress_age_seconds=None if told is None else round(told.age, 1),
        go_on=None if finished else _command(layout),
    )


def _command(layout: Layout) -> str:
    if layout.rule.exists():
        try:
            rule = str(json.loads(read_small(layout.rule))["kind"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise RunFailed(f"{layout.rule}: damaged file ({first_line(error)}); relabel the run again") from None
        origin = Layout(layout.folder.parent.parent)
        moved = not origin.run_file.exists() or layout.folder.name != rule
        place = "THE_RUN_IT_WAS_MADE_FROM" if moved else str(origin.folder)
        return shlex.join(["stepforge", "relabel", place, "--rule", rule])
    return shlex.join(["stepforge", "run", str(layout.run_file), "--out", str(layout.folder)])


def status_text(status: RunStatus) -> str:
    lines = [f"{status.folder}: {status.state}", "", stages_text(status.stages, status.shards), ""]
    return "\n".join([*lines, *_driver_lines(status)]).rstrip()


def _driver_lines(status: RunStatus) -> list[str]:
    lines, told, state = [], status.progress, status.state
    if told is not None:
        when = f"{duration(told.age)} ago, {duration(told.elapsed)} after it started"
        if state == "running" and told.ended:
            lines = ["driver: running, but not on shards: it is starting up, or exporting and reporting"]
        elif state == "running":
            lines = [f"driver: running; last reported {when}: {end_text(told)}", f"engines: {engine_text(told.engine)}"]
        elif state == "stopped":
            how = "it ended" if told.ended else "it was killed"
            lines = [f"driver: none; the last one reported {when}; {how}", f"engines, then: {engine_text(told.engine)}"]
    return [*lines, f"to resume: {status.go_on}"] if state == "stopped" else lines
