"""The figures of the page: each a chart, a sentence about it, and its numbers as a table."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from markupsafe import Markup

from stepforge.pipelines.reports.charts import NARROW, Bar, Plane, Point, Size, bars, count_bars, share_bars
from stepforge.pipelines.reports.records import Calibration, Report
from stepforge.pipelines.run_folder.sessions import SessionFigures, TimelineFigures
from stepforge.pipelines.terminal.tables import with_interval as with_decimals
from stepforge.schemas.interval import Share, share_of

STAGES = {
    "generate": "drawn",
    "solve": "solved",
    "vet": "passed vetting",
    "label": "labeled",
    "curate": "passed curation",
}
SESSIONS = 3
"""Sessions shown over time: the longest ones."""
HOUR = 3600.0
TRUTHS = {"oracle": "the oracle", "people": "people"}
PAIRS = Size(NARROW.width, 196, 64)
"""Space for the names of two labelers."""


Row = tuple[object, ...]


class Figure(NamedTuple):
    svg: Markup
    text: str
    """A sentence with the main numbers."""
    table: tuple[Row, ...]
    """Its numbers as a table; the first row is the header."""


percent = "{:.1%}".format
with_interval = partial(with_decimals, form=".1%")


def _bars(title: str, data: Sequence[Bar], text: str, table: Sequence[Row], size: Size = NARROW) -> Figure:
    return Figure(Markup(bars(title, data, size)), text, tuple(table))  # noqa: S704 charts escape their texts


def _diagonal(
    title: str, axes: tuple[str, str], bins: Sequence[tuple[float, int, Share]], head: tuple[str, ...], text: str
) -> Figure:
    """Return a figure of what was said (mean and count of a bin) against what came true; on the diagonal both agree."""
    plane = Plane(title, axes, (1, 1))
    plane.diagonal()
    plane.points([Point(said, true.share, true.low, true.high) for said, _, true in bins])
    return Figure(Markup(plane.svg), text, (head, *bins))  # noqa: S704


def funnel(report: Report) -> Figure:
    planned = next((total.rows_in for total in report.stages.values()), 0)
    there = [(name, report.stages[stage]) for stage, name in STAGES.items() if planned and stage in report.stages]
    s = report.solutions
    decided = s.labeled - sum(s.abstained.values())
    steps = [
        *((name, "problems", total.rows_out, total.rows_in, planned) for name, total in there),
        ("their solutions", "solutions", s.labeled, s.labeled, s.labeled),
        ("… with a verdict", "solutions", decided, s.labeled, s.labeled),
        ("… can be rows", "solutions", s.kept, decided, s.labeled),
    ]
    data = [
        Bar(name, count / max(whole, 1), note=f"{count:,}", other=(before - count) / max(whole, 1))
        for name, _, count, before, whole in steps
    ]
    rows = ((name, kind, count, before - count) for name, kind, count, before, _ in steps)
    last = report.stages["curate"].rows_out if "curate" in report.stages else 0
    text = (
        f"Of {planned:,} problems {last:,} passed all stages. They have {s.labeled:,} solutions, of which {decided:,} "
        f"have a verdict and {s.kept:,} can become rows. Blue passed, orange was lost at that stage."
    )
    return _bars(
        "Where problems and solutions went", data, text, [("came this far", "of", "count", "lost here"), *rows]
    )


def accuracy(report: Report, truth: str) -> Figure | None:
    known = report.oracle if truth == "oracle" else report.people
    shares = {
        name: (share_of(f.exact_first_errors_of_wrong_solutions, f.wrong_solutions), f)
        for name, f in known.items()
        if f.wrong_solutions and name != truth
    }
    if not shares:
        return None
    data = share_bars((name, s) for name, (s, _) in shares.items())
    table: list[Row] = [("labeler", "first error named exactly", "wrong solutions", "right solutions left clean")]
    for name, (share, f) in shares.items():
        left = round(f.correct_solution_accuracy * f.correct_solutions) if f.correct_solution_accuracy else 0
        clean = share_of(left, f.correct_solutions)
        table.append((name, share, f.wrong_solutions, clean))
    best = max(data, key=lambda bar: bar.value)
    text = (
        "Share of solutions with a wrong answer in which the labeler names the same first wrong step as "
        f"{TRUTHS[truth]}; an abstention counts as a miss. The most accurate is {best.name} with "
        f"{with_interval(shares[best.name][0])}. Lines are 95% intervals."
    )
    return _bars(f"First error named exactly ({truth})", data, text, table)


def agreement(report: Report) -> Figure | None:
    pairs = [a for a in report.shape.agreement if a.same is not None]
    if not pairs:
        return None
    table: list[Row] = [("labelers", "same verdict", "solutions", "same step", "where either finds one")]
    table += [(", ".join(a.labelers), a.same, a.both_decide, a.same_step, a.either_finds_error) for a in pairs]
    data = share_bars((", ".join(a.labelers), a.same_step) for a in pairs)
    text = "Neither of any two labelers finds a wrong step. "
    if data:
        shares = [bar.value for bar in data]
        low, high = percent(min(shares)), percent(max(shares))
        text = (
            "Of the solutions in which at least one of two labelers finds a wrong step (and neither abstains), the "
            f"share in which both name the same step: {low if low == high else f'from {low} to {high}'}. "
        )
    text += "Labelers that use the same completions make the same mistakes, so agreement proves nothing."
    return _bars("Same wrong step named by both", data, text, table, PAIRS)


def held_out(report: Report) -> Figure | None:
    found = report.shape.held_out
    if not found:
        return None
    bins = [(b.mean_value, b.completions, b.ended_right) for b in found]
    count = sum(b.completions for b in found)
    gap = sum(abs(said - true.share) * n for said, n, true in bins) / count
    text = (
        f"{count:,} completions were drawn from measured steps after the labels were made. On the line they are right "
        f"as often as the value predicts; the mean distance is {percent(gap)}. They are drawn only at first "
        "errors, until the right step stands out, so this is a hard sample."
    )
    head = ("mean value given", "held-out completions", "ended right")
    return _diagonal("Values against held-out completions", ("value given", "held-out right"), bins, head, text)


def values(report: Report) -> Figure | None:
    found = report.shape.values
    if not found:
        return None
    by_bin = {b.low: b for b in found}
    bins = [(f"{i / 10:.1f} to {(i + 1) / 10:.1f}", by_bin.get(i / 10)) for i in range(10)]
    data = count_bars((name, b.steps if b else 0) for name, b in bins)
    table = [("value", "steps", "mean width of the interval"), *((n, b.steps, b.mean_width) for n, b in bins if b)]
    steps = sum(b.steps for b in found)
    width = sum(b.mean_width * b.steps for b in found) / steps
    low = sum(b.steps for b in found if b.low < 0.2)
    text = (
        "The value of a step is the chance that the policy reaches the right answer from there. "
        f"{steps:,} steps were measured, {percent(low / steps)} of them below 0.2; the interval of one value is "
        f"{width:.2f} wide on average."
    )
    return _bars("Value of a step", data, text, table)


def positions(report: Report) -> Figure | None:
    found = report.shape.positions
    if not found:
        return None
    labeled, true = sum(p.labeled for p in found), sum(p.true for p in found)
    names = [f"step {p.step}" if p.step < len(found) or p.step < 20 else f"step {p.step} on" for p in found]
    data = count_bars((name, p.labeled) for name, p in zip(names, found, strict=True))
    table: list[Row] = [("first wrong step", "by the labels", "by the oracle")]
    table += [(name, p.labeled, p.true if true else None) for name, p in zip(names, found, strict=True)]
    seen = accumulate(p.labeled for p in found)
    middle = next(p.step for p, count in zip(found, seen, strict=True) if 2 * count >= labeled)
    oracle = f" The oracle finds one in {true:,}, including those with a right answer." if true else ""
    text = f"The labels name a first wrong step in {labeled:,} solutions; half of them by step {middle}.{oracle}"
    return _bars("First wrong step", data, text, table)


def balance(report: Report) -> Figure:
    steps = report.shape.steps
    labeled = steps.get("right", 0) + steps.get("wrong", 0)
    data = count_bars(steps.items())
    table: list[Row] = [("steps or solutions", "count"), *((f"steps: {name}", count) for name, count in steps.items())]
    table += [(f"solutions: answer {name}", count) for name, count in sorted(report.shape.solutions.items())]
    share = steps.get("wrong", 0) / labeled if labeled else 0
    text = f"{labeled:,} steps have a label" + (
        f"; {percent(share)} of them are wrong. A model that calls every step right is right in {percent(1 - share)}, "
        "so accuracy alone says little."
        if labeled
        else "."
    )
    return _bars("Steps by label", data, text, table)


def calibration(one: Calibration) -> Figure:
    text = (
        f"{one.verdicts:,} verdicts of {one.labeler} by confidence. On the line it is right as often as it says, "
        f"below it is overconfident; the mean distance is {percent(one.mean_gap)}."
    )
    title, head = f"{one.labeler}: confidence against {TRUTHS[one.truth]}", ("mean posterior", "verdicts", "right")
    bins = [(b.mean_posterior, b.verdicts, b.right) for b in one.bins]
    return _diagonal(title, ("posterior of the verdict", "share right"), bins, head, text)


def costs(report: Report) -> Figure | None:
    spent = report.cost.labelers
    solutions = report.solutions.labeled
    if not spent or not solutions:
        return None
    tokens = {name: cost.generated_tokens / solutions for name, cost in spent.items()}
    data = [Bar(name, each, note=f"{each:,.0f}") for name, each in tokens.items()]
    table: list[Row] = [("labeler", "rollouts per solution", "generated tokens per solution")]
    table += [(name, cost.rollouts / solutions, tokens[name]) for name, cost in spent.items()]
    most = max(data, key=lambda bar: bar.value)
    text = (
        f"Generated tokens that each labeler spent per solution; {most.name} spent most, {most.note}. "
        "Sampling the solutions is not included."
    )
    return _bars("Generated tokens per solution", data, text, table)


def courses(report: Report, engines: int) -> Iterator[Figure]:
    """Tokens per second and occupancy of the engines over each of the longest sessions."""
    longest = sorted(report.cost.sessions, key=lambda session: -session.seconds)[:SESSIONS]
    for session in sorted(longest, key=lambda session: session.began):
        if session.timeline is not None and any(session.timeline.engine_seconds):
            yield from _course(session, session.timeline, engines)


def _course(session: SessionFigures, line: TimelineFigures, engines: int) -> Iterator[Figure]:
    scale, unit = (HOUR, "hours") if session.seconds > HOUR else (1.0, "seconds")
    width = line.seconds / scale
    end = max(session.seconds / scale, width * len(line.generated_tokens))
    lengths = [
        max(1e-3, min(line.seconds, session.seconds - i * line.seconds)) for i in range(len(line.engine_seconds))
    ]
    speeds = [tokens / length for tokens, length in zip(line.generated_tokens, lengths, strict=True)]
    busy = [min(1.0, s / length / engines) for s, length in zip(line.engine_seconds, lengths, strict=True)]
    whole = session.seconds or 1.0
    for title, heights, mean, what in (
        ("Generated tokens per second", speeds, sum(line.generated_tokens) / whole, "{:,.0f} tokens per second"),
        ("Occupancy of the engines", busy, min(1.0, sum(line.engine_seconds) / whole / engines), "{:.0%} occupied"),
    ):
        plane = Plane(title, (f"{unit} since the session began", ""), (end, max([*heights, 1e-9])))
        plane.steps(heights, width)
        table = [(unit, title.lower()), *((f"{i * width:.3g}", height) for i, height in enumerate(heights))]
        text = (
            f"{title} over a session of {session.seconds:,.0f} s, {what.format(mean)} on average, including "
            "startup and export. A shard's work is spread evenly over the time it took."
        )
        yield Figure(Markup(plane.svg), text, tuple(table))  # noqa: S704
