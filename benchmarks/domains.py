"""Label quality by domain and labeler, from a finished run: ``python -m benchmarks.domains runs/domains``.

Prints a table in Markdown, with 95 % Wilson intervals. Solutions of one problem are not independent, so the intervals
are a little narrow.
"""

import json
import sys
from pathlib import Path
from typing import Any

from stepforge.schemas.interval import wilson


def share(part: float, whole: int) -> str:
    if not whole:
        return "none"
    low, high = wilson(round(part), whole)
    return f"{part / whole:.2f} ({low:.2f} to {high:.2f}) of {whole}"


def rows(report: dict[str, Any]) -> list[str]:
    found = []
    for domain in sorted({key for figures in report["labelers"].values() for key in figures["by"] if "domain" in key}):
        rate = report["policy"]["pass_rate"][domain]["pass_rate"]
        for labeler, figures in report["labelers"].items():
            n = figures["by"].get(domain)
            if n is None:
                continue
            clean = (n["correct_solution_accuracy"] or 0) * n["correct_solutions"]
            judged = sum(n[key] for key in ("wrong_solutions", "correct_solutions", "right_answer_through_wrong_step"))
            cells = (
                domain.removeprefix("domain: "),
                f"{rate:.2f}",
                f"`{labeler}`",
                share(n["exact_first_errors_of_wrong_solutions"], n["wrong_solutions"]),
                share(clean, n["correct_solutions"]),
                share(
                    (n["right_answer_wrong_step_recall"] or 0) * n["right_answer_through_wrong_step"],
                    n["right_answer_through_wrong_step"],
                ),
                share((n["abstained_share"] or 0) * judged, judged),
            )
            found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/domains") / "report.json"
    if not path.is_file():
        sys.exit(f"{path} is not there; name the folder of a finished run")
    report = json.loads(path.read_text())
    print("| domain | pass rate | labeler | first error exact, wrong answer | no error found in clean ones |", end="")
    print(" error found, right answer | abstained |\n|---|---|---|---|---|---|---|")
    print("\n".join(rows(report)))


if __name__ == "__main__":
    main()
