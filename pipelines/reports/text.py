"""A report for the terminal: the main figures of ``report.json``."""

import shlex
from collections.abc import Mapping, Sequence

from stepforge.generators.segmenters import uncut_warning
from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.reports.records import AgainstFigures, AuditFigures, ErrorSetFigures, LabelFigures, Report
from stepforge.pipelines.run_folder.ledger import Price
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.interval import Share
from stepforge.schemas.rollout import SUPPLIED

NAMED = 3
LABEL_FIGURES = (
    ("first_error_accuracy", "first error, exact (wrong answers)"),
    ("correct_solution_accuracy", "right solutions left clean"),
    ("processbench_f1", "ProcessBench F1"),
    ("first_error_within_one", "first error, within one step"),
    ("first_error_accuracy_all_erroneous", "first error, exact (all erroneous)"),
    ("processbench_f1_all_erroneous", "F1 over all erroneous"),
    ("right_answer_wrong_step_recall", "right answer, wrong step: flagged"),
    ("right_answer_wrong_step_precision", "right answer flagged: truly wrong"),
    ("first_fatal_accuracy", "first fatal error, exact"),
    ("step_auc_within_problem", "step AUC within problem"),
    ("abstained_share", "abstained"),
    ("rollouts_per_solution", "rollouts per solution"),
    ("generated_tokens_per_correct_first_error", "generated tokens per correct first error"),
)
OF_THE_POLICY = {part.model_fields["kind"].default for part in EXPORTS if issubclass(part, Chat)}
"""Exports that hold only what the policy wrote."""
COSTS = {"rollouts per solution", "generated tokens per correct first error"}
"""Left out where nothing was sampled, as in a relabeled run: a zero would look like a free label."""


def report_text(report: Report, folder: AnyPath) -> str:
    judged = any(figures.first_error_places for figures in report.labelers.values())
    labels = _against("labels against the oracle" if judged else "labels", report.labelers)
    audit = table([AUDIT_HEAD, *audit_rows(report.audit)]) if report.audit else ""
    blocks = [_stages(report), _policy(report), labels, _strata(report), reviewed_text(report), _people(report), audit]
    blocks.insert(3, "" if judged else _verdicts(report))
    blocks += [_pairs(report), _exports(report), lost_text(report), _cost(report), _uncut(report)]
    nothing = "" if report.solutions.labeled else "no solution is labeled yet"
    return "\n\n".join(block for block in (*blocks, nothing, places_text(report, folder)) if block)


def _stages(report: Report) -> str:
    rows: list[tuple[str, ...]] = [("stage", "rows in", "rows out", "rejected", "failures", "seconds")]
    for name, total in report.stages.items():
        numbers = (total.rows_in, total.rows_out, _reasons(total.rejected), _reasons(total.failures))
        rows.append((name, *map(str, numbers), f"{total.seconds:.0f}"))
    failures = [
        f"failures in {stage}, most often ({count}): {message}"
        for stage, messages in report.failures.items()
        for message, count in list(messages.items())[:1]
    ]
    watched = report.watched
    seen = [f"watched: {watched.text}"] if watched.counts.solved or watched.counts.continued else []
    warned = [f"warning: {watched.warning}"] if watched.warning else []
    return "\n".join([table(rows), *failures, *seen, *warned])


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "0"


def _policy(report: Report) -> str:
    rows = [
        (name, str(entry.solutions), f"{entry.pass_rate:.2f}")
        for name, entry in report.policy.pass_rate.items()
        if entry.pass_rate is not None
    ]
    return table([("vetted problems", "solutions", "pass rate"), *rows]) if rows else ""


def _against(head: str, found: Mapping[str, AgainstFigures]) -> str:
    """Return the known figures as a table, a column for each labeler; empty if none is known."""
    rows = [(title, [getattr(figures, key, None) for figures in found.values()]) for key, title in LABEL_FIGURES]
    known = [
        (title, *map(figure, values))
        for title, values in rows
        if any(value is not None for value in values) and (title not in COSTS or any(values))
    ]
    return table([(head, *found), *known]) if known else ""


def reviewed_text(report: Report) -> str:
    one = report.reviewed
    if one is None:
        return ""
    of = f" of {report.solutions.labeled} solutions" if report.solutions.labeled else ""
    withdrawn = f", {one.withdrawn} of them to none" if one.withdrawn else ""
    labels = "label" if one.changed == 1 else "labels"
    return f"people reviewed {one.solutions}{of} and changed {one.changed} {labels}{withdrawn}"


def _people(report: Report) -> str:
    audit = table([("label audit (people)", *AUDIT_HEAD[1:]), *audit_rows(report.people_audit)])
    sets = [f"{name}: {error_sets_text(found)}" for name, found in report.people_sets.items()]
    known = _against("labels against people", report.people)
    return "\n\n".join(part for part in (known, audit if report.people_audit else "", *sets) if part)


def error_sets_text(found: ErrorSetFigures) -> str:
    return (
        f"the steps with a posterior of at least {found.least_posterior:.3f} ({found.mean_size:.1f} of a solution, "
        f'"no error" counted as one) contain the verdict of people in {with_interval(found.held)} of '
        f"{found.measured_on} solutions; {found.level:.0%} was the target, set on {found.calibrated_on} others"
    )


def _uncut(report: Report) -> str:
    count, all_ = report.policy.long_solutions_in_one_step, report.policy.pass_rate.get("all")
    return f"warning: {uncut_warning(count, all_.solutions if all_ else 0, 'the segmenter')}" if count else ""


def _verdicts(report: Report) -> str:
    """Without a truth: how often the first labeler finds a wrong step, which should follow the final answers."""
    found = report.shape.solutions
    if not found or not report.labelers:
        return ""
    parts = []
    for outcome, name in (("wrong", "a wrong answer"), ("correct", "a right one")):
        flagged, clean = (found.get(f"{outcome}, {said}", 0) for said in ("wrong step", "no wrong step"))
        parts.append(f"in {flagged:,} of {flagged + clean:,} solutions with {name}")
    undecided = sum(count for key, count in found.items() if key.endswith(", abstained"))
    return f"{next(iter(report.labelers))} finds a wrong step {' and '.join(parts)}; {undecided:,} have no verdict"


def _strata(report: Report) -> str:
    found = report.labelers
    slices = sorted({key for figures in found.values() for key, cell in figures.by.items() if cell.wrong_solutions})
    rows = [(key, *(_of(figures.by.get(key)) for figures in found.values())) for key in slices]
    return table([("first error, exact (of n wrong)", *found), *rows]) if rows else ""


def _of(cell: LabelFigures | None) -> str:
    if cell is None or cell.first_error_accuracy is None:
        return "-"
    return f"{cell.first_error_accuracy:.2f} of {cell.wrong_solutions}"


def _pairs(report: Report) -> str:
    pairs = report.pairs
    if not pairs.first_errors:
        return ""
    line = f"step pairs: {pairs.apart} of {pairs.first_errors} first errors have a sibling step of clearly higher value"
    if pairs.checked:
        line += f"; right against wrong by the truth {with_interval(pairs.chosen_right_rejected_wrong)}"
        line += f", at the true first error {with_interval(pairs.at_the_true_first_error)}"
    spent = report.cost.labelers.get("contrast")
    return line + (f"; contrast: {spent.rollouts:,} rollouts, {spent.generated_tokens:,} tokens" if spent else "")


AUDIT_HEAD = (
    "label audit (curated)",
    "solutions",
    "abstained",
    "labeled exactly",
    "steps right, of these wrong",
    "steps wrong, of these right",
)


def audit_rows(audit: Mapping[str, AuditFigures]) -> list[tuple[str, ...]]:
    """Return the audit as cells, one slice per row, with 95 % intervals."""
    return [
        (
            name,
            str(f.solutions),
            figure(f.abstained_share),
            with_interval(f.solutions_labeled_exactly),
            f"{f.steps_labeled_right}: {with_interval(f.of_these_wrong)}",
            f"{f.steps_labeled_wrong}: {with_interval(f.of_these_right)}",
        )
        for name, f in audit.items()
    ]


def with_interval(share: Share | None, form: str = ".3f") -> str:
    return "-" if share is None else f"{share.share:{form}} ({share.low:{form}} to {share.high:{form}})"


def _exports(report: Report) -> str:
    rows = [("data set", "train", "test")]
    rows += [(name, str(e.rows["train"]), str(e.rows["test"])) for name, e in report.exports.items()]
    empty = [name for name, e in report.exports.items() if not e.total and e.kind in OF_THE_POLICY]
    identity = report.policy.identity
    if empty and identity is not None and identity.model == SUPPLIED:
        why = "its data trains a policy, and supplied solutions are none of the policy's own"
        return "\n".join([table(rows), *(f"no row in {name}: {why}" for name in empty)])
    return table(rows) if len(rows) > 1 else ""


def _cost(report: Report) -> str:
    cost = report.cost
    cached = cost.cached_prompt_tokens / cost.prompt_tokens if cost.prompt_tokens else 0.0
    total = (
        f"cost: {cost.rollouts:,} rollouts, {cost.generated_tokens:,} generated tokens, "
        f"{cost.prompt_tokens:,} prompt tokens ({cached:.0%} cached), {cost.seconds:,.0f} s"
    )
    prices = ((cost.per_labeled_step, "labeled step"), (cost.per_kept_row, "kept row"))
    return "\n".join([total, *(_price(price, what) for price, what in prices if price is not None)])


def _price(price: Price, what: str) -> str:
    engine = f", {price.engine_seconds:.3g} engine-seconds" if price.engine_seconds else ""
    return (
        f"per {what} ({price.count:,}): {_amount(price.rollouts)} rollouts, {_amount(price.generated_tokens)} "
        f"generated and {_amount(price.prompt_tokens)} prompt tokens{engine}"
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def lost_text(report: Report) -> str:
    """Return how many problems and solutions did not become rows, and why; empty if none were lost."""
    solutions = report.solutions
    lines = []
    for name, total in report.stages.items():
        lost = {f"rejected, {why}": n for why, n in total.rejected.items()}
        lost |= {f"failed, {why}": n for why, n in total.failures.items()}
        if lost:
            lines.append(f"  {sum(lost.values())} of {total.rows_in} problems in {name}: {_named(lost)}")
    abstained = sum(solutions.abstained.values())
    if abstained:
        lines.append(f"  {abstained} of {solutions.labeled} solutions have no verdict: {_named(solutions.abstained)}")
    if solutions.repeated:
        lines.append(f"  {solutions.repeated} of {solutions.kept} solutions repeat another one of their problem")
    if not lines:
        return ""
    kept = f"{solutions.kept - solutions.repeated} of {solutions.labeled} labeled solutions can become rows"
    return "\n".join(["not in the data sets:", *lines, f"{kept}; each data set uses those it can"])


def _named(counts: dict[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    rest = sum(count for _, count in ranked[NAMED:])
    return "; ".join([*(f"{count} {why}" for why, count in ranked[:NAMED]), *([f"{rest} others"] if rest else [])])


def places_text(report: Report, folder: AnyPath) -> str:
    show = shlex.join(["stepforge", "show", str(folder)])
    lines = [f"all figures: {folder}/report.json"]
    if any(entry.total for entry in report.exports.values()):
        publish = shlex.join(["stepforge", "publish", str(folder), "--repo", "ORG/NAME", "--dry-run"])
        lines = [f"data sets:   {folder}/datasets", f"card:        {folder}/datasets/README.md", *lines]
        return "\n".join([*lines, f"next:        {show} --wrong  (what was labeled), then {publish}"])
    if report.exports:
        lines.append(f"no data set has a row. Why problems were lost: {show} --failed; no verdict: {show} --abstained")
    return "\n".join(lines)


def figure(value: float | None) -> str:
    """Return a figure with suitable precision; a dash if there is nothing to measure."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value <= 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
