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
from stepforge.pipelines.reports.problem_view import opinion
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.sections import Section, audit, cost, labels, lost, pairs, reviewed
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
    environment.filters |= {"cell": cell, "fenced": fenced, "percent": _percent, "shown": example_text}
    environment.globals |= {"table": table, "section": _section}
    return environment.get_template("card.md")


def body(run: RunFile, report: Report, contents: Contents, figures: Mapping[str, str]) -> str:
    filled = [export for export in run.export if report.exports[export.name].total]  # only these can be loaded
    return _template().render(
        report=report,
        contents=contents,
        figures=figures,
        solutions=sum(counts["solutions"] for counts in contents.domains.values()),
        labelers=[part.name for part in speaking(run.label)],
        reviewed="".join(f" P{line[1:]}; their verdicts are called `people`." for line in reviewed(report)),
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
        oracle=(
            audit("label audit (curated)", report.audit),
            labels("labels, before curation", {n: f for n, f in report.labelers.items() if n != "oracle"}),
            pairs(report),
        ),
        people=audit("label audit (people)", report.people_audit, report.people_sets),
        cost=cost(report),
        identity=identity_rows(report),
        settings=settings_text(run),
        sources=[source_of(part) for part in run.generate],
        lost=lost(report),
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


def _section(section: Section) -> str:
    return "\n\n".join([*([table(section.head, section.rows)] if section.rows else []), *map(cell, section.notes)])


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"


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
    verdicts = [example.solution.verdict, *([] if example.truth.abstained else [example.truth])]
    said = (f"{verdict.labeler}: {opinion(verdict)}" for verdict in verdicts)
    return "; ".join((f"final answer {example.solution.rollout.outcome}", *said))
