"""``report.html``: every figure of a run as one self-contained page.

Texts from models and files are escaped. A policy in the page blocks all loading and all scripts except, if a shown text
has a formula or code, the page's own rendering script, named by its digest.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stepforge.pipelines.report_page import figures
from stepforge.pipelines.reports.card.front_matter import identity_rows, settings_text
from stepforge.pipelines.reports.card.safe_text import shortened
from stepforge.pipelines.reports.examples import ChosenSolution
from stepforge.pipelines.reports.problem_view import SolutionView, solution_view
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.sections import losses, sections
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_row
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.pipelines.terminal import tables
from stepforge.pipelines.terminal.output import visible
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem

LONGEST_TEXT = 1500
"""Characters shown of a question or a step."""
MOST_STEPS = 40
FORMULA = re.compile(r"\$|\\\(|\\\[|```")
FONTS = ("Main-Regular", "Main-Bold", "Main-Italic", "Math-Italic", "AMS-Regular", "Size1", "Size2", "Size3", "Size4")
"""The fonts of ordinary formulas; a rarer one is replaced by the browser."""


class Shown(NamedTuple):
    why: str
    problem: Problem
    solution: SolutionView


def write_page(run: RunFile, layout: Layout, report: Report) -> AnyPath:
    """Write the page next to ``report.json`` and return its path; the shown solutions are read from their shards.

    Raises RunFailed: a shard is damaged.
    """
    path = layout.folder / "report.html"
    write_text(path, page(run, layout, report))
    return path


def page(run: RunFile, layout: Layout, report: Report) -> str:
    shown = [_shown(layout, one) for one in report.chosen]
    environment = Environment(
        loader=PackageLoader("stepforge.pipelines.report_page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters |= {"fig": tables.shown, "percent": figures.percent}
    environment.filters["cut"] = lambda text: shortened(text, LONGEST_TEXT)
    script = _script() if any(FORMULA.search(text) for one in shown for text in _texts(one)) else ""
    style = _style(script != "")
    return environment.get_template("report.html").render(
        report=report,
        style=style,
        script=script,
        digests={"style": _digest(style), "script": _digest(script) if script else ""},
        facts=list(_facts(run, report)),
        settings=settings_text(run),
        sections=sections(report),
        losses=list(losses(report)),
        shown=shown,
        funnel=figures.funnel(report),
        against=[f for truth in ("oracle", "people") if (f := figures.accuracy(report, truth))],
        stand_ins=[f for f in (figures.agreement(report), figures.held_out(report)) if f],
        shape=[f for f in (figures.values(report), figures.positions(report), figures.balance(report)) if f],
        calibrations=[figures.calibration(one) for one in report.shape.calibration],
        costs=figures.costs(report),
        courses=list(figures.courses(report, max(1, run.workers.engine))),
    )


def _shown(layout: Layout, one: ChosenSolution) -> Shown:
    row = read_row(layout.shard("label", one.shard), LabeledProblem, one.row)
    solution = solution_view(row.problem, row.solutions[one.solution])
    return Shown(one.why, row.problem, solution._replace(steps=solution.steps[:MOST_STEPS]))


def _texts(one: Shown) -> Iterator[str]:
    yield from (one.problem.question, one.problem.answer or "", one.solution.ending)
    yield from (step.text for step in one.solution.steps)
    yield from (opinion for _, opinion in one.solution.opinions)


def _facts(run: RunFile, report: Report) -> Iterator[tuple[object, ...]]:
    """What was run: names and values."""
    yield from identity_rows(report)
    yield "problems from", ", ".join(part.label if hasattr(part, "label") else part.kind for part in run.generate)
    yield "labelers", ", ".join(part.name for part in run.label)
    if sessions := report.cost.sessions:
        for name, seconds in (("began", sessions[0].began), ("ended", sessions[-1].began + sessions[-1].seconds)):
            yield name, f"{datetime.fromtimestamp(seconds, UTC):%B %-d, %Y, %H:%M} UTC"


def _static(name: str) -> Traversable:
    return files("stepforge.pipelines.viewer").joinpath("static", *name.split("/"))


def _script() -> Markup:
    """The viewer's rendering of formulas and code, for all texts at once, so it also works in print."""
    every = 'document.querySelectorAll(".math").forEach(typeset);'
    code = "\n".join([_static("katex/katex.min.js").read_text(), _static("text.js").read_text(), every])
    assert "</script" not in code
    return Markup(code)  # noqa: S704 shipped files


def _style(formulas: bool) -> Markup:
    """The viewer's colors and this page's own rules, plus fonts if there are formulas."""
    own = files("stepforge.pipelines.report_page").joinpath("report.css").read_text()
    sheets = [_static("style.css").read_text(), own]
    if formulas:
        sheets.insert(0, re.sub(r"@font-face\{[^}]*\}", _with_font, _static("katex/katex.min.css").read_text()))
    return Markup("\n".join(sheets))  # noqa: S704 shipped files


def _with_font(face: re.Match[str]) -> str:
    """Embed a font in its rule; drop the rules of omitted fonts."""
    name = re.search(r"fonts/KaTeX_([\w-]+)\.woff2", face[0])
    if name is None or not name[1].startswith(FONTS):
        return ""
    data = b64encode(_static(f"katex/fonts/KaTeX_{name[1]}.woff2").read_bytes()).decode()
    return re.sub(r"src:[^;}]*", f'src:url(data:font/woff2;base64,{data}) format("woff2")', face[0])


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
