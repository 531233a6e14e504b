"""The ledger: a report per shard and stage, kept in the shard's own metadata, added up into ``ledger.json``.

For every shard, rows in = rows out + rejected + failures, and rows in = the rows out of the shard before; anything else
fails the run.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field, ValidationError

from stepforge.pipelines.run_folder.failures import TRIED_AGAIN, commonest_failures
from stepforge.pipelines.run_folder.plan import ShardPlan, read_plan
from stepforge.pipelines.run_folder.sessions import SessionFigures, StageTime
from stepforge.pipelines.run_folder.watched import Watched, WatchedFigures, reason_to_stop, watched_figures
from stepforge.pipelines.settings.digest import content_digest, stage_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import folder_settings
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage, shard_index
from stepforge.pipelines.storage.shards import ShardMetadata, shard_metadata
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Cost, LabelerCost, cost_by_labeler, summed_costs
from stepforge.schemas.record import Record

Stamps = dict[ShardStage, dict[int, ShardMetadata]]
"""What each shard's metadata holds, by stage and number."""


class StageCounts(Record):
    rows_in: int = 0
    rows_out: int = 0
    labeled_steps: int = 0
    """Steps that the first labeler judged in the rows that came out, in the curate stage."""
    rejected: dict[str, int] = Field(default_factory=dict)
    """Rows dropped, by ``filter: reason``."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Rows that could not be finished, by class of error."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    """Rollouts of this stage by outcome, plus the truncated and the failed ones."""
    cost: Cost = Cost()


class ShardReport(StageCounts):
    stage: ShardStage
    shard: int
    labelers: tuple[LabelerCost, ...] = ()
    """The cost by labeler, in the label stage."""
    policies: dict[str, Cost] = Field(default_factory=dict)
    """What each policy wrote, where a run has several: solutions, or the completions that labels are made from."""
    watched: Watched = Watched()
    """Figures that show whether the engine answers correctly, in the solve and label stages."""

    def check(self) -> None:
        """Raise ``RunFailed`` unless rows in and rows out agree."""
        lost = self.rows_in - self.rows_out - sum(self.rejected.values()) - sum(self.failures.values())
        if lost:
            raise RunFailed(f"{self.stage}: shard {self.shard}: {lost} of {self.rows_in} rows unaccounted for")


class StageTotal(StageCounts):
    shards: int = 0
    seconds: float = 0.0
    engine_seconds: float = 0.0

    def plus(self, report: ShardReport, *, shards: int = 1) -> "StageTotal":
        pairs = {name: (getattr(self, name), getattr(report, name)) for name in StageCounts.model_fields}
        summed = {name: added(both) if isinstance(both[0], dict) else both[0] + both[1] for name, both in pairs.items()}
        return self.model_copy(update={"shards": self.shards + shards, **summed})

    def took(self, time: StageTime) -> "StageTotal":
        seconds, busy = self.seconds + time.seconds, self.engine_seconds + time.engine_seconds
        return self.model_copy(update={"seconds": round(seconds, 6), "engine_seconds": round(busy, 6)})


class Price(Record):
    """Mean cost per one of ``count``."""

    count: int
    rollouts: float
    generated_tokens: float
    prompt_tokens: float
    cached_prompt_tokens: float
    engine_seconds: float


class Ledger(Record):
    """The reports of all shards added up; ``ledger.json``."""

    stages: dict[ShardStage, StageTotal]
    per_labeled_step: Price | None
    per_kept_row: Price | None
    labelers: dict[str, Cost]
    policies: dict[str, Cost]
    """What each policy wrote, where there are several: its solutions, and the completions kept as evidence."""
    total: Cost
    failures: dict[ShardStage, dict[str, int]]
    """The most common messages of failed rows, and how many rows each covers."""
    watched: WatchedFigures
    sessions: tuple[SessionFigures, ...]


def committed_reports(layout: Layout, *, whole: bool = True) -> list[ShardReport]:
    """Return the reports of every committed shard, read from the shards themselves.

    Without ``whole`` a run may have gaps, which the next driver fills: enough to show progress.
    """
    run = folder_settings(layout.run_file) if layout.run_file.exists() else None
    digest = content_digest(run) if run else None
    stamps: Stamps = {}
    for stage in reversed(SHARD_STAGES):  # a running driver commits in the other order, so none seems missing
        stamps[stage] = {shard_index(path): shard_metadata(path, digest) for path in layout.shards(stage)}
    reports = {
        stage: {index: _report(layout.shard(stage, index), stamps[stage][index]) for index in stamps[stage]}
        for stage in SHARD_STAGES
    }
    plan = read_plan(layout.folder, digest)
    if plan and whole:  # a relabeled folder has none: it starts midway
        check_whole(layout, plan, reports)
    if whole:
        _check_sources(layout, run, stamps)
    return [report for stage in SHARD_STAGES for report in reports[stage].values()]


def _check_sources(layout: Layout, run: RunFile | None, stamps: Stamps) -> None:
    """Check that every shard was made from the one before it, with the settings of the run."""
    for stage, before in zip(SHARD_STAGES[1:], SHARD_STAGES, strict=False):
        settings = stage_digest(run, stage) if run else None
        for index, stamp in stamps[stage].items():
            path, source = layout.shard(stage, index), stamps[before].get(index)
            if source is not None and stamp.get("source") != source.get("digest"):
                raise RunFailed(f"{path}: was not made from {layout.shard(before, index)}; delete it and run again")
            if settings is not None and stamp.get("settings", settings) != settings:
                raise RunFailed(f"{path}: made with other settings of this stage; delete it and run again")


def check_whole(
    layout: Layout, plan: Sequence[ShardPlan], reports: Mapping[ShardStage, Mapping[int, ShardReport]]
) -> None:
    """Check that every shard is planned, and made from all rows of the one before it."""
    sizes = {shard.index: shard.stop - shard.start for shard in plan}
    for stage, before in zip(SHARD_STAGES, (None, *SHARD_STAGES), strict=False):
        for index, report in reports[stage].items():
            path = layout.shard(stage, index)
            if index not in sizes:
                raise RunFailed(f"{path}: extra shard, the plan has {len(plan)}; move it away")
            if before is not None and index not in reports[before]:
                raise RunFailed(f"{layout.shard(before, index)}: missing, and {path} is there; run again to fix it")
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


def _report(path: AnyPath, stamp: ShardMetadata) -> ShardReport:
    try:
        return ShardReport.model_validate(stamp.get("report"))
    except ValidationError:
        raise RunFailed(f"{path}: not a shard of a run; move it away") from None


def stage_totals(
    reports: Iterable[ShardReport], sessions: Sequence[SessionFigures] = ()
) -> dict[ShardStage, StageTotal]:
    totals: dict[ShardStage, StageTotal] = {}
    for report in reports:
        report.check()
        totals[report.stage] = totals.get(report.stage, StageTotal()).plus(report)
    for stage, time in (item for session in sessions for item in session.stages.items()):
        if stage in totals:
            totals[stage] = totals[stage].took(time)
    return totals


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return {name: number for name, number in sorted(total.items()) if number > 0}


def write_ledger(layout: Layout, sessions: Sequence[SessionFigures]) -> Ledger:
    ledger = build_ledger(layout, sessions)
    save_ledger(layout, ledger)
    return ledger


def save_ledger(layout: Layout, ledger: Ledger) -> None:
    write_text(layout.ledger, json.dumps(ledger.model_dump(mode="json"), indent=1) + "\n")


def build_ledger(layout: Layout, sessions: Sequence[SessionFigures]) -> Ledger:
    reports = committed_reports(layout)
    stages = stage_totals(reports, sessions)
    curated = stages.get("curate")
    failures = commonest_failures(layout)
    return Ledger(
        stages=stages,
        per_labeled_step=price(stages, curated.labeled_steps if curated else 0),
        per_kept_row=price(stages, curated.rows_out if curated else 0),
        labelers=cost_by_labeler(entry for report in reports for entry in report.labelers),
        policies=summed_costs(entry for report in reports for entry in report.policies.items()),
        total=sum((report.cost for report in reports), Cost()),
        failures={stage: found for stage, found in failures.items() if stage in stages and stages[stage].failures},
        watched=watched_figures(sum((report.watched for report in reports), Watched())),
        sessions=tuple(sessions),
    )


def price(stages: Mapping[ShardStage, StageTotal], count: int) -> Price | None:
    """Cost of the run divided by ``count``; None where nothing is kept yet."""
    if not count:
        return None
    spent = {name: sum(getattr(total.cost, name) for total in stages.values()) for name in Cost.model_fields}
    spent["engine_seconds"] = sum(total.engine_seconds for total in stages.values())
    return Price(count=count, **{name: round(value / count, 6) for name, value in spent.items()})


def check_worth(run: RunFile, ledger: Ledger) -> None:
    """Raise ``RunFailed`` if more rows of a stage failed than ``max_failure_share`` allows, or if the watched figures
    show that the labels would be worthless."""
    for stage, total in ledger.stages.items():
        failed, rows = sum(total.failures.values()), total.rows_in
        if rows and failed / rows > run.max_failure_share:
            (message, count), *_ = ledger.failures.get(stage, {}).items() or [("no reason kept", failed)]
            tried = TRIED_AGAIN & total.failures.keys()
            again = "fix the cause and run the same command to retry them, or " if tried else ""
            raise RunFailed(
                f"{stage}: {failed} of {rows} rows could not be finished ({total.failures}), more than "
                f"max_failure_share = {run.max_failure_share:g}; most often ({count}): {message}. To continue, {again}"
                f"raise max_failure_share; see failures/{stage}/"
            )
    reason = reason_to_stop(ledger.watched.counts, run.watch, temperature=run.policy.temperature, ended=True)
    if reason is not None:
        raise RunFailed(f"nothing was exported, finished work is kept: {reason}")
