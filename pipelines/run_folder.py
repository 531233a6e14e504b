"""Reading a run folder that exists: its settings, its state, its figures."""

import json
import tomllib
from typing import Any

from pipelines.folder_lock import is_held, only_driver
from pipelines.layout import SHARD_STAGES, Layout
from pipelines.ledger import build_ledger, committed_reports, stage_totals, write_ledger
from pipelines.plan import PLAN_FILE
from pipelines.report import build_report, write_report
from pipelines.run_file import RunFile
from pipelines.run_settings import parse_settings
from pipelines.sessions import past_sessions
from pipelines.store import AnyPath
from schemas.errors import BadInput


def open_run(folder: AnyPath) -> tuple[RunFile, Layout]:
    """Return the settings and the layout of a run folder.

    Raises:
        BadInput: it is none.
    """
    layout = Layout(folder)
    if not layout.run_file.exists():
        raise BadInput(f"{folder}: not a run folder (no run.toml in it); `stepforge run` makes one")
    settings = tomllib.loads(layout.run_file.read_text(encoding="utf-8"))
    return parse_settings(settings, str(layout.run_file)), layout


def fresh_report(folder: AnyPath) -> dict[str, Any]:
    """Return the figures of what is committed; written to ``report.json`` unless a driver is at work there."""
    run, layout = open_run(folder)
    try:
        with only_driver(layout):
            ledger = write_ledger(layout, past_sessions(layout))
            return write_report(run, layout, ledger)
    except BadInput:
        return build_report(run, layout, build_ledger(layout, past_sessions(layout)))


def run_status(folder: AnyPath) -> dict[str, Any]:
    """Return shards done by stage, rows, rejections and failures, and whether a driver is at work."""
    _, layout = open_run(folder)
    plan_file = folder / PLAN_FILE
    shards = len(json.loads(plan_file.read_text())) if plan_file.exists() else 0
    totals = stage_totals(committed_reports(layout))
    stages = {stage: totals.get(stage, {"shards": 0, "rows_in": 0, "rows_out": 0}) for stage in SHARD_STAGES}
    running = is_held(layout)
    finished = shards > 0 and stages["curate"]["shards"] == shards and layout.report.exists() and not running
    state = "running" if running else "finished" if finished else "stopped"
    return {"folder": str(folder), "state": state, "shards": shards, "stages": stages}


def status_text(state: dict[str, Any]) -> str:
    """Return the state as text."""
    lines = [f"{state['folder']}: {state['state']}"]
    for stage, total in state["stages"].items():
        rows = f"{total['rows_in']} rows in, {total['rows_out']} out"
        failed = sum(total.get("failures", {}).values())
        lines.append(f"{stage:9} {total['shards']:>6} of {state['shards']} shards  {rows}, {failed} failures")
    if state["state"] == "stopped":
        lines.append("go on: the same `stepforge run` command does only what is missing")
    return "\n".join(lines)
