"""The end of a report for the terminal: why solutions did not become rows, where everything is, and what to do next."""

import shlex

from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.storage.store import AnyPath

LONGEST = 3
"""Reasons that are named."""


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
    if not lines:
        return ""
    kept = f"{solutions.kept} of {solutions.labeled} labeled solutions can become rows"
    return "\n".join(["not in the data sets:", *lines, f"{kept}; each data set uses those it can"])


def _named(counts: dict[str, int]) -> str:
    """The most common reasons, and the count of the rest."""
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    rest = sum(count for _, count in ranked[LONGEST:])
    return "; ".join([*(f"{count} {why}" for why, count in ranked[:LONGEST]), *([f"{rest} others"] if rest else [])])


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
