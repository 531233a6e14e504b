"""``stepforge relabel``: another rule over stored evidence. Samples nothing, and leaves the run unchanged.

The result is a separate run folder, ``DIR/relabeled/<rule>``, that ``report``, ``show`` and later commands read.
"""

from collections.abc import Iterator, Sequence

from stepforge.labelers import ChangePoint, PooledLabeler
from stepforge.labelers.change_point.model import Observed
from stepforge.labelers.change_point.observations import has_verdict
from stepforge.labelers.change_point.pooling import calibrated
from stepforge.labelers.consensus import ORACLE, Skill, skills_of
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.people_rule import PeopleRule, standing
from stepforge.labelers.rules import RULES, Agreement, AnyRule, Fusion, People, PosteriorRule, opinions, relabeled
from stepforge.pipelines.datasets.splits import split_of
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.people import LEAST_LABELS, in_half, people_verdict
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.report import write_report
from stepforge.pipelines.review.agreement import reliabilities
from stepforge.pipelines.review.exchange import rows_about
from stepforge.pipelines.review.findings import read_findings
from stepforge.pipelines.review.queue import read_queue
from stepforge.pipelines.run.stage_table import curated
from stepforge.pipelines.run_folder.ledger import ShardReport, committed_reports, write_ledger
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.settings.digest import stage_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import Kept
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import ShardMetadata, read_rows, read_shard, shard_metadata, write_shard
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem, Rejected
from stepforge.schemas.own_part import is_own

POOLED_SOLUTIONS = 2000
"""Most solutions to pool rates from; more make no real difference."""


def relabel(folder: AnyPath, name: str) -> tuple[AnyPath, Report]:
    if name not in RULES:
        raise BadInput(f"--rule {name}: no such rule; there are {', '.join(RULES)}")
    run, layout = open_run(folder)
    if not layout.shards("label"):
        raise BadInput(f"{folder}: nothing is labeled yet; run it first")
    if own := next((part.kind for part in run.curate if is_own(part)), None):
        raise BadInput(f"{folder}: curate lists {own}, the user's own filter, which relabel does not import")
    committed_reports(layout, whole=False)  # refuses a shard of another run before anything is written
    target = Layout(folder / "relabeled" / name)
    target.folder.mkdir(parents=True, exist_ok=True)
    with only_driver(layout):
        people = _people(layout)
        rule = _fitted(RULES[name](), run, layout, people)
        write_text(target.run_file, run.toml())
        write_text(target.rule, rule.model_dump_json(indent=1) + "\n")
        for source in layout.shards("label"):
            _relabel_shard(source, run, target, rule, people)
        export_all(run, target)
        return target.folder, write_report(run, target, write_ledger(target, []))


def _relabel_shard(source: AnyPath, run: RunFile, target: Layout, rule: AnyRule, people: People) -> None:
    metadata = shard_metadata(source)
    old = ShardReport.model_validate(metadata["report"])
    rows = read_shard(source, LabeledProblem)
    if isinstance(rule, Agreement | Fusion):
        rows = [people.heard(row) for row in rows]
    rows = [relabeled(row, rule) for row in rows]
    report = ShardReport(stage="label", shard=old.shard, rows_in=len(rows), rows_out=len(rows))
    # rule.json has the findings once
    stamp: ShardMetadata = {**metadata, "rule": rule.model_dump(mode="json", exclude={"findings"})}
    path = target.shard("label", old.shard)
    write_shard(path, rows, LabeledProblem, {**stamp, "report": report.model_dump(mode="json")})
    made = curated(rows, run.curate)
    stamp |= {"stage": "curate", "settings": stage_digest(run, "curate"), "source": shard_metadata(path)["digest"]}
    stamp["report"] = made.report("curate", old.shard).model_dump(mode="json")
    if made.rejected:
        write_shard(target.rejected("curate", old.shard), made.rejected, Rejected, stamp)
    write_shard(target.shard("curate", old.shard), made.rows, Kept, stamp)


def _fitted(rule: AnyRule, run: RunFile, layout: Layout, people: People) -> AnyRule:
    """Fit what a rule needs from the run itself: pooled rates, the labelers' measured error rates, people's
    findings."""
    if isinstance(rule, PosteriorRule):
        return rule.model_copy(update={"model": _pooled_model(run, layout, people)})
    if isinstance(rule, Fusion):
        return rule.model_copy(update={"skills": _skills(run, layout)})
    if isinstance(rule, People) and not people.findings:
        raise BadInput(f"--rule people: there are no findings in {layout.folder} yet; start with `stepforge review`")
    return people if isinstance(rule, People) else rule


def _people(layout: Layout) -> People:
    findings = read_findings(layout).all
    return People(
        findings=tuple(standing(findings)),
        reliabilities=reliabilities(findings, read_queue(layout)) if findings else (),
    )


def _pooled_model(run: RunFile, layout: Layout, people: People) -> PooledLabeler:
    model = next((part for part in run.label if isinstance(part, PooledLabeler)), ChangePoint())
    rows: list[LabeledProblem] = []
    for path in layout.shards("label"):
        if sum(len(row.solutions) for row in rows) < POOLED_SOLUTIONS:
            rows += read_shard(path, LabeledProblem)
    fitted = model.with_rates(model.fitted_rates(rows))
    if not isinstance(fitted, ChangePoint):
        return fitted
    elsewhere = {one.problem_id for one in people.findings} - {row.problem.id for row in rows}
    return calibrated_by_people(fitted, [*rows, *rows_about(layout, elsewhere)], people)


def calibrated_by_people(model: ChangePoint, rows: Sequence[LabeledProblem], people: PeopleRule) -> ChangePoint:
    """Calibrate on half of people's labels, if there are enough; the other half stays unseen for measurement."""
    cases = [(in_half(row.problem.group), case) for row in rows for case in _judged(model, row, people)]
    if len(cases) < LEAST_LABELS:
        return model
    seen, findings = zip(*(case for half, case in cases if half == 0), strict=True)
    return model.with_rates(calibrated(seen, findings, model.rates))


def _judged(
    model: ChangePoint, row: LabeledProblem, people: PeopleRule
) -> Iterator[tuple[Observed, tuple[float, ...]]]:
    """Yield the evidence of each solution that people judged, and the likelihood of their findings for each first
    error: labels supplied with the problem are certain, reviewers' findings as reliable as the reviewers."""
    evidence = stored_evidence(row)
    for rollout in (solution.rollout for solution in row.solutions if has_verdict(solution.rollout)):
        said, steps = people_verdict(rollout), len(rollout.steps)
        error = None if said is None else steps if said.first_error is None else said.first_error
        certain = None if error is None else tuple(float(i == error) for i in range(steps + 1))
        likely = certain or people.evidence_on(row.problem.id, rollout)
        if likely is not None:
            yield model.observed(solution_trajectory(rollout), evidence), likely


def _skills(run: RunFile, layout: Layout) -> tuple[Skill, ...]:
    """Measure every labeler on the training split's problems with a known truth: the oracle split."""
    rows = (row for path in layout.shards("label") for row in read_rows(path, LabeledProblem, without=COMPLETIONS))
    found = skills_of(
        (verdict, oracle_verdict(row.problem, solution.rollout).first_error)
        for row in rows
        if row.problem.truth is not None and split_of(row.problem.group, run.test_share) == "train"
        for solution in row.solutions
        if solution.rollout.outcome != "undetermined"
        for verdict in opinions(solution, ())
    )
    if not found:
        raise BadInput("--rule fusion: needs problems with a known truth to measure the labelers on; add a family")
    return tuple(skill for skill in found if skill.labeler not in (ORACLE, "consensus"))
