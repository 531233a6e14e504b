"""A report for the terminal: its sections, where everything lies, and what is next."""

import shlex

from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.sections import Section, sections
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.terminal.tables import table


def report_text(report: Report, folder: AnyPath) -> str:
    nothing = [] if report.solutions.labeled else ["no solution is labeled yet"]
    return "\n\n".join([*map(_text, sections(report)), *nothing, places_text(report, folder)])


def _text(section: Section) -> str:
    return "\n".join(part for part in (table(section.head, section.rows), *section.notes) if part)


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
