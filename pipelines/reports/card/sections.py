"""The card's text: ``card.md`` filled in. Text from models and files is escaped or fenced."""

from collections.abc import Iterator, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from stepforge.filters import Contamination
from stepforge.labelers import speaking
from stepforge.pipelines.datasets.columns import source_of
from stepforge.pipelines.exports.marked import measured
from stepforge.pipelines.reports.card.contents import CardExample, Contents
from stepforge.pipelines.reports.card.front_matter import identity_rows, settings_text
from stepforge.pipelines.reports.card.safe_text import cell, fenced, shortened, table
from stepforge.pipelines.reports.card.training_notes import training_note
from stepforge.pipelines.reports.records import LabelerFigures, Report
from stepforge.pipelines.reports.text import audit_rows, error_sets_text, figure, reviewed_text, with_interval
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import LabeledSolution

STEP_LENGTH = 300
STEPS = 30
"""Of an example: characters of a step, and steps."""
COUNTED = ("problems", "solutions", "right answers", "with a wrong step", "undecided")
LIMITS = """\
- Labels are estimates: the label noise above was measured on this run's own procedural problems, and says little about
  other domains. Where nothing was measured, nothing is known.
- A value is how often *this* policy reaches the right answer from a step, not whether the step is right. Other policies
have other values.
- Steps after a first error have no label. A right answer does not prove right steps: labels by outcome cannot see
  that, and `process_bench` says how often it happens where the truth is known.
- A timeout, a crash or a truncated completion counted neither way; solutions that ended this way are not included.
- Problems were selected by the filters above, mostly by the policy's own pass rate: easy and hopeless ones are missing.
- Reasoning was sampled from a model and may be repetitive, wrong in ways no step label names, or strange to read."""
BIBTEX = """@software{stepforge,
  title = {stepforge: measured process-supervision data},
  author = {{The stepforge contributors}},
  year = {2026}
}"""


def _template() -> Template:
    environment = Environment(  # noqa: S701 Markdown is no HTML: ``cell`` and ``fenced`` escape
        loader=PackageLoader("stepforge.pipelines.reports.card", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "fenced": fenced, "interval": with_interval, "per": _per}
    environment.filters |= {"percent": _percent, "shown": example_text}
    environment.globals |= {"table": table, "audit_rows": audit_rows, "error_sets_text": error_sets_text}
    return environment.get_template("card.md")


def body(run: RunFile, report: Report, contents: Contents, figures: Mapping[str, str]) -> str:
    cost, steps = report.cost, contents.labeled_steps.total()
    reviewed = reviewed_text(report)
    filled = [export for export in run.export if report.exports[export.name].total]  # only these can be loaded
    return _template().render(
        report=report,
        contents=contents,
        figures=figures,
        solutions=sum(counts["solutions"] for counts in contents.domains.values()),
        labelers=[part.name for part in speaking(run.label)],
        reviewed=f" {reviewed[0].upper()}{reviewed[1:]}; their verdicts are called `people`." if reviewed else "",
        data_sets=[
            (name, entry.rows["train"], entry.rows["test"], training_note(export).about)
            for export, (name, entry) in zip(run.export, report.exports.items(), strict=True)
        ],
        filled=[export.name for export in filled],
        notes=[(export.name, training_note(export).text) for export in filled],
        counted=COUNTED,
        slices=[
            (f"{axis} {name}", *(counts[what] for what in COUNTED))
            for axis, slices in (("domain", contents.domains), ("difficulty", contents.difficulties))
            for name, counts in sorted(slices.items())
        ],
        near=list(_near_copies(report)),
        rates=[(name, *_rates(figures)) for name, figures in report.labelers.items() if name != "oracle"],
        steps=steps,
        engine_seconds=sum(total.engine_seconds for total in report.stages.values()),
        spent=[
            (name, c.rollouts, c.generated_tokens, _per(c.rollouts, steps), _per(c.generated_tokens, steps))
            for name, c in cost.labelers.items()
        ],
        prices=[(name, e.total, _per(cost.generated_tokens, e.total)) for name, e in report.exports.items()],
        identity=identity_rows(report),
        settings=settings_text(run),
        sources=[source_of(part) for part in run.generate],
        dropped=[
            (stage, reason, count)
            for stage, total in report.stages.items()
            for counts in (total.rejected, total.failures)
            for reason, count in counts.items()
        ],
        decontamination=decontamination(run),
        limits=LIMITS,
        bibtex=BIBTEX,
    )


def _near_copies(report: Report) -> Iterator[tuple[float, str]]:
    found = report.diversity
    if found.near_copies is not None:
        yield found.near_copies, "with the same numbers"
    if found.near_copies_but_for_numbers is not None:
        yield found.near_copies_but_for_numbers, "whatever the numbers"


def _rates(found: LabelerFigures) -> tuple[str, ...]:
    shares = (found.first_error_accuracy, found.correct_solution_accuracy, found.processbench_f1)
    return tuple(map(figure, (*shares, found.generated_tokens_per_correct_first_error)))


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"


def _per(amount: float, count: int) -> str:
    return figure(amount / count) if count else "-"


def decontamination(run: RunFile) -> str:
    found = [part for part in run.vet if isinstance(part, Contamination)]
    if not found:
        return "Decontamination: none was run; the problems were compared with no held-out set."
    sets = sorted({cell(one.label) for part in found for one in part.against})
    ways = sorted({way for part in found for way in part.ways})
    return (
        f"Decontamination: the problems were compared with {', '.join(sets)}, and those found there "
        f"({', '.join(ways)}) were dropped."
    )


def example_text(example: CardExample) -> str:
    return f"{example.problem.question}\n\n{_example_steps(example.solution)}\n\n{_verdict(example)}"


def _example_steps(solution: LabeledSolution) -> str:
    error = solution.verdict.first_error
    lines = []
    for i, step in enumerate(solution.rollout.steps[:STEPS]):
        label = "right" if error is None or i < error else "WRONG" if i == error else "-"
        known = measured(solution.labels[i])
        value = "    " if known is None else f"{known.value:.2f}"
        lines.append(f"{i + 1:>2} {label:5} {value} {shortened(step.text.strip(), STEP_LENGTH)}")
    left = len(solution.rollout.steps) - STEPS
    return "\n".join([*lines, f"({left} more steps)"] if left > 0 else lines)


def _verdict(example: CardExample) -> str:
    rollout, verdict, truth = example.solution.rollout, example.solution.verdict, example.truth
    said = _named(verdict.first_error)
    known = "" if truth.abstained else f"; the truth: {_named(truth.first_error)}"
    return f"final answer {rollout.outcome}; {verdict.labeler}: {said}{known}"


def _named(error: int | None) -> str:
    return "no wrong step" if error is None else f"first wrong step {error + 1}"
