"""``report.json``: every figure of a run, from the committed shards alone. Rows are read a few at a time."""

import json
from collections import Counter, defaultdict
from typing import NamedTuple

from stepforge.generators.segmenters import uncut
from stepforge.labelers import speaking
from stepforge.labelers.consensus import DISAGREE
from stepforge.pipelines.datasets.writer import rows_by_split
from stepforge.pipelines.reports.card import write_card
from stepforge.pipelines.reports.card.contents import Contents
from stepforge.pipelines.reports.diversity import Diversity
from stepforge.pipelines.reports.examples import Choice, loss_examples
from stepforge.pipelines.reports.label_accuracy import judge_problem, truths_of
from stepforge.pipelines.reports.label_audit import Audit, PairAudit
from stepforge.pipelines.reports.label_shape import ShapeTally
from stepforge.pipelines.reports.people import AgainstTruth, ErrorSets, people_verdict
from stepforge.pipelines.reports.records import (
    POLICY,
    CostFigures,
    DatasetRows,
    LabelerFigures,
    PassRate,
    PolicyFigures,
    Report,
    ReviewedFigures,
    RunIdentity,
    SolutionFigures,
)
from stepforge.pipelines.run_folder.ledger import Ledger
from stepforge.pipelines.settings.digest import VERSION, settings_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import read_with_curated
from stepforge.pipelines.storage.layout import Layout, shard_index
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import TOKENS, Cost, LabeledProblem, Verdict
from stepforge.schemas.rollout import PolicyIdentity

VETTED_BASE_RATE = 0.4
"""Below this pass rate every Monte Carlo label is guesswork; figures are given on both sides of it."""


BASE_RATE_BANDS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
"""Upper ends belong to their band."""


class _Tally:
    def __init__(self) -> None:
        self.oracle, self.people, self.sets = AgainstTruth(), AgainstTruth(), ErrorSets()
        self.shape, self.choice = ShapeTally(), Choice()
        self.uncut = 0
        """Long solutions of a single step."""
        self.solutions = self.kept = self.repeated = 0
        self.abstained: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.policy: PolicyIdentity | None = None
        self.diversity = Diversity()
        self.reviewed: Counter[str] = Counter()
        self.audit, self.people_audit, self.pairs = Audit(), Audit(), PairAudit()
        self.contents = Contents()

    def add(self, shard: int, number: int, row: LabeledProblem, truths: list[Verdict]) -> None:
        self.solutions += len(row.solutions)
        self._add_reviewed(row)
        self.abstained.update(_kind_of_reason(s.verdict) for s in row.solutions if s.verdict.abstained)
        self.policy = self.policy or row.policy
        self.diversity.add(row)
        for solution in row.solutions:
            for name in ("all", *_policy_slices(row), f"{POLICY}{row.policy.model}"):
                self.outcomes[name][solution.rollout.outcome] += 1
            self.uncut += uncut(solution.rollout)
        slices = _label_slices(row)
        self.oracle.add(row, judge_problem(row, truths), truths, slices)
        self.people.add_people(row, slices)
        self.sets.add(row)
        self.shape.add(row, truths)
        self.choice.add(shard, number, row, truths)

    def add_curated(self, row: LabeledProblem, truths: list[Verdict]) -> None:
        texts = [solution.rollout.text for solution in row.solutions if not solution.verdict.abstained]
        self.kept += len(texts)
        self.repeated += len(texts) - len(set(texts))
        rollouts, slices = [solution.rollout for solution in row.solutions], _policy_slices(row)
        ended = [bool(r.steps) and r.outcome != "undetermined" for r in rollouts]
        self.audit.add(row, [truth if end else None for truth, end in zip(truths, ended, strict=True)], slices)
        self.people_audit.add(row, [people_verdict(r) if r.steps else None for r in rollouts], slices)
        self.pairs.add(row, truths)
        self.shape.add_held_out(row)
        self.contents.add(row)

    def by_slice(self) -> dict[str, Counter[str]]:
        """Return the solutions' outcomes by slice; by policy only where there are several."""
        several = sum(name.startswith(POLICY) for name in self.outcomes) > 1
        return {name: found for name, found in self.outcomes.items() if several or not name.startswith(POLICY)}

    def _add_reviewed(self, row: LabeledProblem) -> None:
        for solution in row.solutions:
            if solution.others and any(v.labeler == "people" for v in solution.verdicts):
                now, before = solution.verdict, solution.others[0]
                changed = (now.first_error, now.abstained) != (before.first_error, before.abstained)
                withdrawn = now.abstained and not before.abstained
                self.reviewed.update(solutions=1, changed=changed, withdrawn=withdrawn)


class Measured(NamedTuple):
    report: Report
    contents: Contents


def measured(run: RunFile, layout: Layout, ledger: Ledger) -> Measured:
    """Read the committed shards once. Raises RunFailed: a shard is damaged; the line names it."""
    tally = _Tally()
    for path in layout.shards("label"):
        shard = shard_index(path)
        for number, (row, curated) in enumerate(read_with_curated(layout, shard, without=TOKENS)):
            truths = truths_of(row)
            tally.add(shard, number, row, truths)
            if curated is not None:
                tally.add_curated(curated, truths if curated is row else truths_of(curated))
    return Measured(_report(run, layout, ledger, tally), tally.contents)


def _report(run: RunFile, layout: Layout, ledger: Ledger, tally: _Tally) -> Report:
    return Report(
        run=RunIdentity(folder=layout.folder.name, digest=settings_digest(run), seed=run.seed, version=VERSION),
        policy=PolicyFigures(
            identity=tally.policy,
            pass_rate={name: PassRate.of(counts) for name, counts in sorted(tally.by_slice().items())},
            long_solutions_in_one_step=tally.uncut,
        ),
        solutions=SolutionFigures(
            labeled=tally.solutions,
            abstained=dict(tally.abstained.most_common()),
            kept=tally.kept,
            repeated=tally.repeated,
        ),
        labelers={name: _labeler(name, tally, ledger) for name in _labeler_names(run, tally)},
        oracle=tally.oracle.figures(),
        reviewed=ReviewedFigures(**tally.reviewed) if tally.reviewed else None,
        people=tally.people.figures(),
        audit=tally.audit.figures(),
        people_audit=tally.people_audit.figures(),
        people_sets=tally.sets.figures(),
        pairs=tally.pairs.figures(),
        shape=tally.shape.figures(),
        chosen=tally.choice.chosen(),
        losses=loss_examples(layout, ledger.stages),
        stages=dict(ledger.stages),
        failures=ledger.failures,
        watched=ledger.watched,
        exports={e.name: DatasetRows(kind=e.kind, rows=rows_by_split(layout, e.name)) for e in run.export},
        diversity=tally.diversity.figures(),
        cost=CostFigures(
            **dict(ledger.total),
            per_labeled_step=ledger.per_labeled_step,
            per_kept_row=ledger.per_kept_row,
            labelers=ledger.labelers,
            sessions=ledger.sessions,
        ),
    )


def write_report(run: RunFile, layout: Layout, ledger: Ledger) -> Report:
    found = measured(run, layout, ledger)
    save_report(run, layout, found)
    return found.report


def save_report(run: RunFile, layout: Layout, found: Measured) -> None:
    write_text(layout.report, json.dumps(found.report.model_dump(mode="json"), indent=1) + "\n")
    if run.export and layout.datasets.exists():
        write_card(layout, run, *found)


def _labeler_names(run: RunFile, tally: _Tally) -> list[str]:
    """The run's labelers in their order, and whatever else has verdicts (a rule that relabeled the run)."""
    listed = [part.name for part in speaking(run.label)]
    return [
        *(name for name in tally.oracle.counts if name not in listed),
        *(n for n in listed if n in tally.oracle.counts or not tally.oracle.counts),
    ]


def _labeler(name: str, tally: _Tally, ledger: Ledger) -> LabelerFigures:
    against = tally.oracle.of(name)
    own = [cost for key, cost in ledger.labelers.items() if key == name or key.startswith(f"{name}: ")]  # tiers
    cost = sum(own, Cost())
    exact = against.exact_first_errors_of_wrong_solutions
    return LabelerFigures(
        **dict(against),
        rollouts_per_solution=cost.rollouts / tally.solutions if tally.solutions else None,
        generated_tokens_per_solution=cost.generated_tokens / tally.solutions if tally.solutions else None,
        generated_tokens_per_correct_first_error=cost.generated_tokens / exact if exact else None,
    )


def _label_slices(row: LabeledProblem) -> list[str]:
    rate = row.pass_rate
    if rate is None:
        return _policy_slices(row)
    band = next(f"base rate: {low:g} to {high:g}" for low, high in BASE_RATE_BANDS if rate <= high)
    vetted = [f"base rate: at least {VETTED_BASE_RATE}"] if rate >= VETTED_BASE_RATE else []
    return [*vetted, band, *_policy_slices(row)]


def _kind_of_reason(verdict: Verdict) -> str:
    """Why it abstained; of a disagreement, without what each labeler said."""
    reason = verdict.reason or "no reason given"
    return DISAGREE if reason.startswith(f"{DISAGREE}:") else reason


def _policy_slices(row: LabeledProblem) -> list[str]:
    problem = row.problem
    slices = [f"domain: {problem.domain}", f"source: {problem.source}"]
    return slices if problem.difficulty is None else [*slices, f"difficulty: {problem.difficulty}"]
