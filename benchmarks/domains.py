"""Label quality by domain and labeler, from a finished run: ``python -m benchmarks.domains runs/domains``.

Prints a table in Markdown, with 95 % Wilson intervals. Solutions of one problem are not independent, so the intervals
are a little narrow.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from stepforge.pipelines.reports.records import LabelFigures, Report
from stepforge.schemas.interval import wilson


def share(part: float, whole: int) -> str:
    if not whole:
        return "none"
    low, high = wilson(round(part), whole)
    return f"{part / whole:.2f} ({low:.2f} to {high:.2f}) of {whole}"


def of_labeler(n: LabelFigures) -> tuple[str, str, str]:
    """Return first errors named exactly in wrong answers, nothing found in clean ones, and abstentions."""
    judged = n.wrong_solutions + n.correct_solutions + n.right_answer_through_wrong_step
    return (
        share(n.exact_first_errors_of_wrong_solutions, n.wrong_solutions),
        share((n.correct_solution_accuracy or 0) * n.correct_solutions, n.correct_solutions),
        share((n.abstained_share or 0) * judged, judged),
    )


def rows(report: Report) -> Iterator[str]:
    for domain in sorted({key for figures in report.labelers.values() for key in figures.by if "domain" in key}):
        rate = report.policy.pass_rate[domain].pass_rate
        for labeler, figures in report.labelers.items():
            if (n := figures.by.get(domain)) is not None:
                exact, clean, abstained = of_labeler(n)
                lucky = n.right_answer_through_wrong_step
                found = share((n.right_answer_wrong_step_recall or 0) * lucky, lucky)
                cells = (domain.removeprefix("domain: "), f"{rate:.2f}", f"`{labeler}`", exact, clean, found, abstained)
                yield f"| {' | '.join(cells)} |"


def main(run: Annotated[Path, typer.Argument()] = Path("runs/domains")) -> None:
    print("| domain | pass rate | labeler | first error exact, wrong answer | no error found in clean ones |", end="")
    print(" error found, right answer | abstained |\n|---|---|---|---|---|---|---|")
    print("\n".join(rows(Report.model_validate_json((run / "report.json").read_text()))))


if __name__ == "__main__":
    typer.run(main)
