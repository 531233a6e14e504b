"""The card's figures: where solutions go wrong, how values lie, and how often labels are wrong."""

from stepforge.pipelines.reports.card.contents import VALUE_BINS, Contents
from stepforge.pipelines.reports.charts import Bar, bars
from stepforge.pipelines.reports.records import Report

STEPS_SHOWN = 20
FIGURE_FILES = ("first_errors.svg", "values.svg", "label_noise.svg")


def figure_files(contents: Contents, report: Report) -> dict[str, tuple[str, str]]:
    """Return file name -> (title, SVG); a figure without data is left out."""
    found = (
        ("First wrong step, solutions", _first_errors(contents)),
        ("Value of a step: how often the policy reaches the right answer from there, steps", _values(contents)),
        ("Steps labeled right that are wrong, with 95 % intervals", _noise(report)),
    )
    named = zip(FIGURE_FILES, found, strict=True)
    return {name: (title, bars(title, data)) for name, (title, data) in named if data}


def _first_errors(contents: Contents) -> list[Bar]:
    counts = contents.first_errors
    if not counts:
        return []
    shown = [(f"step {i + 1}", counts[i]) for i in range(min(max(counts) + 1, STEPS_SHOWN))]
    later = sum(count for i, count in counts.items() if i >= STEPS_SHOWN)
    shown += [(f"later than {STEPS_SHOWN}", later)] if later else []
    return [Bar(name, float(count), note=str(count)) for name, count in shown]


def _values(contents: Contents) -> list[Bar]:
    if not contents.values:
        return []
    names = [f"{i / VALUE_BINS:g} to {(i + 1) / VALUE_BINS:g}" for i in range(VALUE_BINS)]
    return [Bar(name, float(contents.values[i]), note=str(contents.values[i])) for i, name in enumerate(names)]


def _noise(report: Report) -> list[Bar]:
    shares = {name: figures.of_these_wrong for name, figures in report.audit.items()}
    return [
        Bar(name, share.share, share.low, share.high, f"{share.share:.2%}")
        for name, share in shares.items()
        if share is not None and not name.startswith("source: ")
    ]
