"""The card's text: ``card.md`` filled in. Text from models and files is escaped or fenced."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from stepforge.filters import Contamination
from stepforge.labelers import speaking
from stepforge.pipelines.datasets.columns import source_of
from stepforge.pipelines.reports.card.contents import CardExample, Contents
from stepforge.pipelines.reports.card.front_matter import identity_rows, settings_text
from stepforge.pipelines.reports.card.safe_text import cell, fenced, table
from stepforge.pipelines.reports.card.training_notes import training_note
from stepforge.pipelines.reports.problem_view import solution_text, solution_view
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.sections import Section, audit, cost, labels, lost, pairs, reviewed
from stepforge.pipelines.settings.run_file import RunFile

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
        solutions=contents.slices["all"]["solutions"],
        labelers=[part.name for part in speaking(run.label)],
        reviewed="".join(f" P{line[1:]}; their verdicts are called `people`." for line in reviewed(report)),
        data_sets=[
            (name, entry.rows["train"], entry.rows["test"], training_note(export).about)
            for export, (name, entry) in zip(run.export, report.exports.items(), strict=True)
        ],
        filled=[export.name for export in filled],
        notes=[(export.name, training_note(export).text) for export in filled],
        counted=COUNTED,
        slices=[(name, *(n[what] for what in COUNTED)) for name, n in sorted(contents.slices.items())],
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
    return f"{example.problem.question}\n\n{solution_text(solution_view(example.problem, example.solution))}"
