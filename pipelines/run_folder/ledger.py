"""The books: a report per shard and stage, kept in the shard's own metadata, added up into ``ledger.json``.

For every shard, rows in = rows out + rejected + failures, and rows in = the rows out of the shard before; anything else
fails the run.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from stepforge.pipelines.run_folder.failures import commonest_failures
from stepforge.pipelines.run_folder.plan import ShardPlan, read_plan
from stepforge.pipelines.run_folder.sessions import stage_times
from stepforge.pipelines.run_folder.watched import Watched, reason_to_stop, watched_figures, watched_text
from stepforge.pipelines.settings.digest import content_digest, stage_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import folder_settings
from stepforge.pipelines.settings.watch import Watch
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage, shard_index
from stepforge.pipelines.storage.shards import shard_metadata
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Cost, LabelerCost
from stepforge.schemas.record import Record

Stamps = dict[ShardStage, dict[int, dict[str, Any]]]
"""What each shard's metadata holds, by stage and number."""


class ShardReport(Record):
    """What one stage did with one shard."""

    stage: ShardStage
    shard: int
    rows_in: int
    rows_out: int
    rejected: dict[str, int] = Field(default_factory=dict)
    """Rows dropped, by ``filter: reason``."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Rows that could not be finished, by class of error."""
    cost: Cost = Cost()
    labelers: tuple[LabelerCost, ...] = ()
    """The cost by labeler, in the label stage."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    """Rollouts of this stage by outcome and, beside, the truncated and the failed ones."""
    watched: Watched = Watched()
    """What tells whether the engine answers as it is asked, in the solve and label stages."""
    labelled_steps: int = 0
    """Steps that the first labeler judged in the rows that came out, in the curate stage."""

    def check(self) -> None:
        """Raise ``RunFailed`` unless the books balance."""
        lost = self.rows_in - self.rows_out - sum(self.rejected.values()) - sum(self.failures.values())
        if lost:
            raise RunFailed(f"{self.stage}: shard {self.shard}: {lost} of {self.rows_in} rows unaccounted for")


def committed_reports(layout: Layout, *, whole: bool = True) -> list[ShardReport]:
    """Return the reports of every committed shard, read from the shards themselves.

    Without ``whole`` a run may have gaps, which the next driver fills: enough to say how far it is.

    Raises:
        RunFailed: a shard is damaged, missing, of another run or not planned, or does not fit the one before it; the
            line names it.
    """
    run = folder_settings(layout.run_file) if layout.run_file.exists() else None
    digest = content_digest(run) if run else None
    stamps: Stamps = {}
    for stage in reversed(SHARD_STAGES):  # a driver at work commits them the other way round, and none seems missing
        stamps[stage] = {shard_index(path): shard_metadata(path, digest) for path in layout.shards(stage)}
    reports = {
        stage: {index: _report(layout.shard(stage, index), stamps[stage][index]) for index in stamps[stage]}
        for stage in SHARD_STAGES
    }
    plan = read_plan(layout.folder, digest)
    if plan and whole:  # a relabelled folder has none: it begins in the middle
        check_whole(layout, plan, reports)
    if whole:
        _check_sources(layout, run, stamps)
    return [report for stage in SHARD_STAGES for report in reports[stage].values()]


def _check_sources(layout: Layout, run: RunFile | None, stamps: Stamps) -> None:
    """Check that every shard was made from the one before it, with the settings of the run.

    Raises:
        RunFailed: one was not; the line names it.
    """
    for stage, before in zip(SHARD_STAGES[1:], SHARD_STAGES, strict=False):
        settings = stage_digest(run, stage) if run else None
        for index, stamp in stamps[stage].items():
            path, source = layout.shard(stage, index), stamps[before].get(index, {})
            if source and stamp.get("source") != source.get("digest"):
                raise RunFailed(f"{path}: was not made from {layout.shard(before, index)}; delete it and run again")
            if settings is not None and stamp.get("settings", settings) != settings:
                raise RunFailed(f"{path}: made with other settings of this stage; delete it and run again")


def check_whole(
    layout: Layout, plan: Sequence[ShardPlan], reports: Mapping[ShardStage, Mapping[int, ShardReport]]
) -> None:
    """Check that every shard is planned, and made from all rows of the one before it.

    Raises:
        RunFailed: one is not; the line names it.
    """
    sizes = {shard.index: shard.stop - shard.start for shard in plan}
    for stage, before in zip(SHARD_STAGES, (None, *SHARD_STAGES), strict=False):
        for index, report in reports[stage].items():
            path = layout.shard(stage, index)
            if index not in sizes:
                raise RunFailed(f"{path}: extra shard, the plan has {len(plan)}; move it away")
            if before is not None and index not in reports[before]:
                raise RunFailed(f"{layout.shard(before, index)}: missing, and {path} is there; run again to mend it")
            expected = sizes[index] if before is None else reports[before][index].rows_out
            if report.rows_in != expected:
                raise RunFailed(f"{path}: made from {report.rows_in} rows of {expected}; delete it and run again")
            _check_aside(layout.rejected(stage, index), report.rejected, path)
            _check_aside(layout.failures(stage, index), report.failures, path)


def _check_aside(path: AnyPath, counts: Mapping[str, int], shard: AnyPath) -> None:
    expected = sum(counts.values())
    found = shard_metadata(path)["rows"] if expected and path.exists() else 0
    if found != expected:
        raise RunFailed(f"{path}: {found} of the {expected} rows set aside are there; delete {shard} and run again")


def _report(path: AnyPath, stamp: dict[str, Any]) -> ShardReport:
    try:
        return ShardReport.model_validate(stamp.get("report"))
    except ValidationError:
        raise RunFailed(f"{path}: not a shard of a run; move it away") from None


def stage_totals(reports: Iterable[ShardReport]) -> dict[str, dict[str, Any]]:
    """Return rows, reasons, cost and seconds by stage."""
    totals: dict[str, dict[str, Any]] = {}
    for report in reports:
        report.check()
        total = totals.setdefault(report.stage, _empty_total())
        total["shards"] += 1
        total["rows_in"] += report.rows_in
        total["rows_out"] += report.rows_out
        total["labelled_steps"] += report.labelled_steps
        for name in ("rejected", "failures", "outcomes"):
            total[name] = dict(sorted((Counter(total[name]) + Counter(getattr(report, name))).items()))
        total["cost"] = (Cost(**total["cost"]) + report.cost).model_dump()
    return totals


def labeler_costs(reports: Iterable[ShardReport]) -> dict[str, Cost]:
    """Return what each labeler spent over the whole run."""
    costs: dict[str, Cost] = {}
    for report in reports:
        for entry in report.labelers:
            costs[entry.labeler] = costs.get(entry.labeler, Cost()) + entry.cost
    return costs


def write_ledger(layout: Layout, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Write ``ledger.json`` from the committed shards, and return it."""
    ledger = build_ledger(layout, sessions)
    save_ledger(layout, ledger)
    return ledger


def save_ledger(layout: Layout, ledger: dict[str, Any]) -> None:
    """Write ``ledger.json``."""
    write_text(layout.ledger, json.dumps(ledger, indent=1) + "\n")


def build_ledger(layout: Layout, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the books of the committed shards."""
    reports = committed_reports(layout)
    total = Cost()
    for report in reports:
        total = total + report.cost
    stages = stage_totals(reports)
    for stage, times in stage_times(sessions).items():
        if stage in stages:
            stages[stage] |= {key: times[key] for key in ("seconds", "engine_seconds")}
    return {
        "stages": stages,
        **price_figures(stages),
        "labelers": {name: cost.model_dump() for name, cost in labeler_costs(reports).items()},
        "total": total.model_dump(),
        "failures": {s: found for s, found in commonest_failures(layout).items() if stages[s]["failures"]},
        "watched": _watched(sum((report.watched for report in reports), Watched())),
        "sessions": sessions,
    }


def _watched(seen: Watched) -> dict[str, Any]:
    """The counts, what they come to, and what would have stopped a run under the default limits."""
    warning = reason_to_stop(seen, Watch(), temperature=1.0, ended=True)
    return {"counts": seen.model_dump(), **watched_figures(seen), "text": watched_text(seen), "warning": warning}


def price_figures(stages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what the run spent per labelled step and per row among those kept; None where nothing is kept yet."""
    curate = stages.get("curate", {})
    spent = {name: sum(total["cost"][name] for total in stages.values()) for name in Cost.model_fields}
    spent["engine_seconds"] = sum(total["engine_seconds"] for total in stages.values())
    counts = {"per_labelled_step": curate.get("labelled_steps", 0), "per_kept_row": curate.get("rows_out", 0)}
    return {name: _shares(spent, count) for name, count in counts.items()}


def _shares(spent: dict[str, Any], count: int) -> dict[str, Any] | None:
    return {"count": count, **{name: round(value / count, 6) for name, value in spent.items()}} if count else None


def _empty_total() -> dict[str, Any]:
    return {
        "shards": 0,
        "rows_in": 0,
        "rows_out": 0,
        "labelled_steps": 0,
        "rejected": {},
        "failures": {},
        "outcomes": {},
        "seconds": 0.0,
        "engine_seconds": 0.0,
        "cost": Cost().model_dump(),
    }
