"""The figures of a report as sections, built once: the terminal, the card and the page show the same ones."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from stepforge.generators.segmenters import uncut_warning
from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.reports.counted import rules
from stepforge.pipelines.reports.records import (
    AgainstFigures,
    AuditFigures,
    ErrorSetFigures,
    LabelerFigures,
    Report,
)
from stepforge.pipelines.terminal.tables import MOST_REASONS, shown
from stepforge.schemas.labeled import Cost
from stepforge.schemas.rollout import SUPPLIED

OF_THE_POLICY = {part.model_fields["kind"].default for part in EXPORTS if issubclass(part, Chat)}
"""Exports that hold only what the policy wrote."""
SAMPLED = ("rollouts", "generated")
"""Begin the figures left out where nothing was sampled, as in a relabeled run: a zero would look like a free label."""


class Section(NamedTuple):
    head: tuple[str, ...]
    """The columns; the first is the section's name."""
    rows: Sequence[tuple[object, ...]] = ()
    notes: tuple[str, ...] = ()
    """Lines after the table."""


def sections(report: Report) -> list[Section]:
    judged = any(figures.first_error_places for figures in report.labelers.values())
    found = [
        stages(report),
        Section(
            ("vetted problems", "solutions", "pass rate"),
            [(name, one.solutions, one.pass_rate) for name, one in report.policy.pass_rate.items() if one.solutions],
        ),
        labels("labels against the oracle" if judged else "labels", report.labelers),
        Section((), notes=() if judged else tuple(_verdicts(report))),
        _strata(report),
        Section((), notes=tuple(reviewed(report))),
        labels("labels against people", report.people),
        audit("label audit (people)", report.people_audit, report.people_sets),
        audit("label audit (curated)", report.audit),
        pairs(report),
        data_sets(report),
        lost(report),
        cost(report),
    ]
    return [section for section in found if section.rows or section.notes]


def stages(report: Report) -> Section:
    notes = [
        f"failures in {stage}, most often ({count}): {message}"
        for stage, messages in report.failures.items()
        for message, count in list(messages.items())[:1]
    ]
    watched, uncut = report.watched, report.policy.long_solutions_in_one_step
    if watched.counts.solved or watched.counts.continued:
        notes.append(f"watched: {watched.text}")
    if watched.warning:
        notes.append(f"warning: {watched.warning}")
    if uncut:
        whole = report.policy.pass_rate.get("all")
        notes.append(f"warning: {uncut_warning(uncut, whole.solutions if whole else 0, 'the segmenter')}")
    rows = [
        (name, t.rows_in, t.rows_out, sum(t.rejected.values()), sum(t.failures.values()), round(t.seconds))
        for name, t in report.stages.items()
    ]
    return Section(("stage", "rows in", "rows out", "rejected", "failures", "seconds"), rows, tuple(notes))


def labels(name: str, found: Mapping[str, AgainstFigures]) -> Section:
    """Return the figures that any labeler has, a column for each."""
    rows: list[tuple[object, ...]] = []
    for key, rule in rules(LabelerFigures).items():
        values = [getattr(figures, key, None) for figures in found.values()]
        if rule.title and (any(values) or (not key.startswith(SAMPLED) and any(v is not None for v in values))):
            rows.append((rule.title, *values))
    return Section((name, *found), rows)


def _verdicts(report: Report) -> Iterator[str]:
    """Without a truth: how often the first labeler finds a wrong step, which should follow the final answers."""
    found = report.shape.solutions
    if not found or not report.labelers:
        return
    parts = []
    for outcome, name in (("wrong", "a wrong answer"), ("correct", "a right one")):
        flagged, clean = (found.get(f"{outcome}, {said}", 0) for said in ("wrong step", "no wrong step"))
        parts.append(f"in {flagged:,} of {flagged + clean:,} solutions with {name}")
    undecided = sum(count for key, count in found.items() if key.endswith(", abstained"))
    yield f"{next(iter(report.labelers))} finds a wrong step {' and '.join(parts)}; {undecided:,} have no verdict"


def _strata(report: Report) -> Section:
    found = report.labelers
    counts = {key: cell.wrong_solutions for figures in found.values() for key, cell in figures.by.items()}
    rows = [
        (key, count, *(f.by[key].first_error_accuracy if key in f.by else None for f in found.values()))
        for key, count in sorted(counts.items())
        if count
    ]
    return Section(("first error, exact", "wrong solutions", *found), rows)


def reviewed(report: Report) -> Iterator[str]:
    one = report.reviewed
    if one is not None:
        of = f" of {report.solutions.labeled} solutions" if report.solutions.labeled else ""
        withdrawn = f", {one.withdrawn} of them to none" if one.withdrawn else ""
        changed = "label" if one.changed == 1 else "labels"
        yield f"people reviewed {one.solutions}{of} and changed {one.changed} {changed}{withdrawn}"


def audit(name: str, found: Mapping[str, AuditFigures], sets: Mapping[str, ErrorSetFigures] | None = None) -> Section:
    shown = {key: rule.title for key, rule in rules(AuditFigures).items() if rule.title}
    rows = [(part, *(getattr(figures, key) for key in shown)) for part, figures in found.items()]
    notes = (f"{labeler}: {error_sets_text(one)}" for labeler, one in (sets or {}).items())
    return Section((name, *shown.values()), rows, tuple(notes))


def error_sets_text(found: ErrorSetFigures) -> str:
    return (
        f"the steps with a posterior of at least {found.least_posterior:.3f} ({found.mean_size:.1f} of a solution, "
        f'"no error" counted as one) contain the verdict of people in {shown(found.held)} of '
        f"{found.measured_on} solutions; {found.level:.0%} was the target, set on {found.calibrated_on} others"
    )


def pairs(report: Report) -> Section:
    found = report.pairs
    line = f"step pairs: {found.apart} of {found.first_errors} first errors have a sibling step of clearly higher value"
    if found.checked:
        line += f"; right against wrong by the truth {shown(found.chosen_right_rejected_wrong)}"
        line += f", at the true first error {shown(found.at_the_true_first_error)}"
    return Section((), notes=(line,) if found.first_errors else ())


def data_sets(report: Report) -> Section:
    identity = report.policy.identity
    empty = [name for name, e in report.exports.items() if not e.total and e.kind in OF_THE_POLICY]
    why = "its data trains a policy, and supplied solutions are none of the policy's own"
    notes = [f"no row in {name}: {why}" for name in empty if identity is not None and identity.model == SUPPLIED]
    rows = [(name, e.rows["train"], e.rows["test"]) for name, e in report.exports.items()]
    return Section(("data set", "train", "test"), rows, tuple(notes))


def losses(report: Report) -> Iterator[tuple[str, str, str, int]]:
    """Yield stage, how, reason and count of problems that did not come through, the most common of a stage first."""
    for stage, total in report.stages.items():
        for how, counts in (("rejected", total.rejected), ("failed", total.failures)):
            for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
                yield stage, how, reason, count


def lost(report: Report) -> Section:
    """How many problems and solutions did not become rows, and why; without rows if none were lost."""
    s = report.solutions
    rows: list[tuple[object, ...]] = []
    for (stage, how), found in groupby(losses(report), key=lambda loss: loss[:2]):
        counts = {reason: count for *_, reason, count in found}
        rows += _by_reason(f"problems, {how} in {stage}", counts, report.stages[stage].rows_in)
    rows += _by_reason("solutions without a verdict", s.abstained, s.labeled)
    if s.repeated:
        rows.append(("solutions", s.repeated, s.kept, "repeat another one of their problem"))
    kept = f"{s.kept - s.repeated} of {s.labeled} labeled solutions can become rows; each data set uses those it can"
    return Section(("not in the data sets", "count", "of", "why"), rows, (kept,) if rows else ())


def _by_reason(what: str, counts: Mapping[str, int], among: int) -> Iterator[tuple[object, ...]]:
    """Yield a row for each common reason, and one for all others: a filter of one's own may give each row its own."""
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    yield from ((what, count, among, reason) for reason, count in ranked[:MOST_REASONS])
    if rest := sum(count for _, count in ranked[MOST_REASONS:]):
        yield what, rest, among, "other reasons"


def cost(report: Report) -> Section:
    spent, names = report.cost, tuple(Cost.model_fields)
    rows = [
        (name, *(getattr(one, field) for field in names), engine)
        for name, one, engine in (
            ("the whole run", spent, sum(total.engine_seconds for total in report.stages.values())),
            *((f"labeler {name}", one, None) for name, one in spent.labelers.items()),
        )
    ]
    for price, what in ((spent.per_labeled_step, "labeled step"), (spent.per_kept_row, "kept row")):
        if price is not None:
            amounts = (getattr(price, field) for field in (*names, "engine_seconds"))
            rows.append((f"per {what}, of {price.count:,}", *amounts))
    head = (*(field.replace("_", " ") for field in names), "engine-seconds")
    return Section(("cost", *head), rows, (f"{spent.seconds:,.0f} s of wall clock",))
