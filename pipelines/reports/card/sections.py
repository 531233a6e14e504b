"""The card's text, section by section."""

from collections.abc import Mapping

from stepforge.filters import Contamination
from stepforge.labelers import speaking
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.reports.card.contents import Contents
from stepforge.pipelines.reports.card.examples import examples_section
from stepforge.pipelines.reports.card.provenance import cost_section, identity_section, sources_section
from stepforge.pipelines.reports.card.safe_text import cell, table
from stepforge.pipelines.reports.card.training_notes import training_note
from stepforge.pipelines.reports.records import DiversityFigures, PairFigures, Report
from stepforge.pipelines.reports.text import audit_rows, error_sets_text, figure, reviewed_text
from stepforge.pipelines.settings.run_file import RunFile

AUDIT_COLUMNS = (
    "slice",
    "solutions",
    "abstained",
    "labeled exactly",
    "steps labeled right: of these wrong",
    "steps labeled wrong: of these right",
)
LIMITS = """## Limits

- Labels are estimates: the label noise above was measured on this run's own procedural problems, and says little about
  other domains. Where nothing was measured, nothing is known.
- A value is how often *this* policy ends right from a step, not whether the step is right. Another policy has others.
- Steps after a first error have no label. A right answer does not prove right steps: labels by outcome cannot see
  that, and `process_bench` says how often it happens where the truth is known.
- A time-out, a crash or a truncated completion counted neither way; solutions that ended so are not in here.
- Problems were selected by the filters above, mostly by the policy's own pass rate: easy and hopeless ones are missing.
- Reasoning was sampled from a model and may be repetitive, wrong in ways no step label names, or strange to read.
"""

BIBTEX = """@software{stepforge,
  title = {stepforge: measured process-supervision data},
  author = {{The stepforge contributors}},
  year = {2026}
}"""
CITATION = f"""## Citation

```bibtex
{BIBTEX}
```

Cite the policy and the problem sets named above as well.
"""


def body(run: RunFile, report: Report, contents: Contents, figures: Mapping[str, str]) -> str:
    """Return everything below the YAML."""
    sections = [
        _what(run, contents, report),
        _warning(report),
        _loading(run, report),
        _training(run.export),
        _composition(contents, figures, report),
        _noise(report),
        cost_section(report, contents),
        identity_section(run, report),
        sources_section(run, contents),
        _filters(run, report),
        LIMITS.rstrip("\n"),
        examples_section(contents.examples),
        CITATION.rstrip("\n"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _what(run: RunFile, contents: Contents, report: Report) -> str:
    reviewed = reviewed_text(report)
    seen = f" {reviewed[0].upper()}{reviewed[1:]}; their verdicts are called `people`." if reviewed else ""
    standing, *others = (part.name for part in speaking(run.label))
    beside = f" Verdicts of {', '.join(f'`{name}`' for name in others)} were taken beside it." if others else ""
    solutions = sum(counts["solutions"] for counts in contents.domains.values())
    rows = [
        (name, entry.rows["train"], entry.rows["test"], training_note(export).about)
        for export, (name, entry) in zip(run.export, report.exports.items(), strict=True)
    ]
    return (
        "# Process supervision data\n\n"
        f"Which step of a chain of thought is wrong: {solutions} solutions of {sum(contents.sources.values())} "
        f"problems, labeled step by step by `{standing}`.{seen}{beside} Every label was derived from completions that "
        "are kept, so that other labels and formats can be made from the same run.\n\n"
        + table(("data set", "train rows", "test rows", "what it is"), rows)
        + "\n\nTrain and test never share a template or a source group."
    )


def _warning(report: Report) -> str:
    """What would have stopped the run, had its limits not been moved."""
    warning = report.watched.warning
    return f"**Warning.** The run was continued although {warning.partition(' (')[0]}." if warning else ""


def _loading(run: RunFile, report: Report) -> str:
    exports = [export for export in run.export if report.exports[export.name].total]
    if not exports:
        return ""
    split = next(split for split, rows in report.exports[exports[0].name].rows.items() if rows)
    return (
        "## How to load it\n\n"
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/of/this/folder", "{exports[0].name}", split="{split}")\n```'
    )


def _training(exports: tuple[AnyExport, ...]) -> str:
    notes = [f"### `{export.name}`\n\n{training_note(export).text}" for export in exports]
    return "\n\n".join(["## How to train on it", *notes]) if notes else ""


def _diversity(found: DiversityFigures) -> str:
    operations = ", ".join(f"{name} {share:.0%}" for name, share in found.operations.items())
    near = [
        f"{share:.1%} are nearly an earlier question {how}"
        for share, how in (
            (found.near_copies, "with the same numbers"),
            (found.near_copies_but_for_numbers, "whatever the numbers"),
        )
        if share is not None
    ]
    return (
        f"The labeled problems come from {found.groups} templates or source groups, the largest of which holds "
        f"{found.largest_group:.1%}. {'; '.join(near) + '. ' if near else ''}Operations: {operations or 'none seen'}."
    )


def _composition(contents: Contents, figures: Mapping[str, str], report: Report) -> str:
    counted = ("problems", "solutions", "right answers", "with a wrong step", "undecided")
    slices = {f"domain {name}": counts for name, counts in sorted(contents.domains.items())}
    slices |= {f"difficulty {name}": counts for name, counts in sorted(contents.difficulties.items())}
    rows = [(name, *(counts[what] for what in counted)) for name, counts in slices.items()]
    right, wrong = contents.labeled_steps[True], contents.labeled_steps[False]
    pictures = "\n\n".join(f"![{title}]({path})" for path, title in figures.items())
    return (
        f"## What is in it\n\n{table(('slice', *counted), rows)}\n\n"
        f"Distinct solutions with a verdict hold {right} steps labeled right and {wrong} labeled wrong.\n\n"
        f"{_diversity(report.diversity)}\n\n{pictures}"
    ).rstrip()


def _noise(report: Report) -> str:
    """The label noise card: how often the labels are wrong, where that can be known."""
    head = "## Label noise\n\n"
    people = _people(report)
    if not report.audit:
        return head + (people or "Not measured: none of the problems has a known truth for every step.")
    rates = [
        (
            name,
            figure(f.first_error_accuracy),
            figure(f.correct_solution_accuracy),
            figure(f.processbench_f1),
            figure(f.generated_tokens_per_correct_first_error),
        )
        for name, f in report.labelers.items()
        if name != "oracle"
    ]
    return (
        f"{head}Measured on this run's own procedural problems, whose every step has a known truth: the labels that\n"
        "the curated rows carry, step by step, with 95 % intervals.\n\n"
        + table(AUDIT_COLUMNS, audit_rows(report.audit))
        + "\n\nBy labeler, before curation: first errors of solutions with a wrong answer named exactly, right\n"
        "solutions left clean, their harmonic mean, and generated tokens for each exact first error.\n\n"
        + table(("labeler", "first error", "clean", "F1", "tokens"), rates)
        + _pairs(report.pairs)
        + (f"\n\n{people}" if people else "")
    )


def _people(report: Report) -> str:
    """The same, where people have judged supplied solutions."""
    if not report.people_audit:
        return ""
    sets = [f"\n\nSets of steps by `{name}`: {error_sets_text(s)}." for name, s in report.people_sets.items()]
    return (
        "Against people's labels of the supplied solutions, which no labeler has seen, with 95 % intervals:\n\n"
        + table(AUDIT_COLUMNS, audit_rows(report.people_audit))
        + "".join(sets)
    )


def _pairs(pairs: PairFigures) -> str:
    right = pairs.chosen_right_rejected_wrong
    if right is None:
        return ""
    return (
        f"\n\nPairs of steps: of {pairs.first_errors} first errors {pairs.apart} have a wrong and a right step "
        "whose values are apart. By the truth the chosen step is right and the rejected one wrong in "
        f"{right.share:.3f} ({right.low:.3f} to {right.high:.3f}) of them."
    )


def decontamination(run: RunFile) -> str:
    """Return what was done to keep the problems of held-out sets out."""
    found = [part for part in run.vet if isinstance(part, Contamination)]
    if not found:
        return "Decontamination: none was run; the problems were compared with no held-out set."
    sets = sorted({cell(one.label) for part in found for one in part.against})
    ways = sorted({way for part in found for way in part.ways})
    return (
        f"Decontamination: the problems were compared with {', '.join(sets)}, and those found there "
        f"({', '.join(ways)}) were dropped."
    )


def _filters(run: RunFile, report: Report) -> str:
    rows = [
        (stage, reason, count)
        for stage, total in report.stages.items()
        for counts in (total.rejected, total.failures)
        for reason, count in counts.items()
    ]
    kept = ", ".join(f"{cell(stage)} {t.rows_out} of {t.rows_in}" for stage, t in report.stages.items())
    dropped = table(("stage", "reason", "problems"), rows) if rows else "Nothing was dropped."
    return f"## Filters\n\nProblems that came through each stage: {kept}.\n\n{dropped}\n\n{decontamination(run)}"
