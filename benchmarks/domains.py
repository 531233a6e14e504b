"""Label quality by labeler, from a finished run: by domain against the oracle, and against known first errors.

    python -m benchmarks.domains runs/domains

Prints tables in Markdown, with 95 % Wilson intervals. Solutions of one problem are not independent, so the intervals
are a little narrow.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measured import with_interval
from stepforge.pipelines.reports.records import LabelFigures, Report

HEAD = ("labeler", "first error exact, wrong answer", "no error found in clean ones", "error found, right answer")


def share(part: float, whole: int) -> str:
    return f"{with_interval(round(part), whole, '.2f')} of {whole}" if whole else "none"


def quality(n: LabelFigures) -> tuple[str, ...]:
    lucky = n.right_answer_through_wrong_step
    judged = n.wrong_solutions + n.correct_solutions + lucky
    return (
        share(n.exact_first_errors_of_wrong_solutions, n.wrong_solutions),
        share((n.correct_solution_accuracy or 0) * n.correct_solutions, n.correct_solutions),
        share((n.right_answer_wrong_step_recall or 0) * lucky, lucky),
        share((n.abstained_share or 0) * judged, judged),
    )


def show(title: str, found: Mapping[tuple[str, str], LabelFigures]) -> None:
    print(f"| {' | '.join((title, *HEAD, 'abstained'))} |\n|{'---|' * (len(HEAD) + 2)}")
    for (name, labeler), figures in found.items():
        print(f"| {' | '.join((name, f'`{labeler}`', *quality(figures)))} |")


def main(run: Annotated[Path, typer.Argument()] = Path("runs/domains")) -> None:
    report = Report.model_validate_json((run / "report.json").read_text())
    domains = sorted({key for figures in report.labelers.values() for key in figures.by if "domain" in key})
    rates = {
        name: f"{name.removeprefix('domain: ')}, {report.policy.pass_rate[name].pass_rate:.2f}" for name in domains
    }
    by = {(rates[d], name): f.by[d] for d in domains for name, f in report.labelers.items() if d in f.by}
    show("domain, pass rate", by)
    if report.people:
        show("known first errors", {("all", name): figures for name, figures in report.people.items()})


if __name__ == "__main__":
    typer.run(main)
