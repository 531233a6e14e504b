"""Adds the reference answers that ProcessBench leaves out, from the problem set that it was made of.

    python -m benchmarks.processbench_answers PROCESSBENCH PROBLEMS OUT.jsonl --question question --answer answer

Rows whose question is not among the problems are left out and counted. Any format of a problem file is read.
"""

import json
import sys
from pathlib import Path

import typer

from stepforge.pipelines.inputs.tables import rows_of


def with_answers(labeled: Path, problems: Path, question: str, answer: str) -> tuple[list[dict[str, object]], int]:
    """Return the rows that have an answer now, and how many have none; white space in questions does not count."""
    answers = {_plain(row[question]): row[answer] for _, row in rows_of(problems)}
    rows = [dict(row) for _, row in rows_of(labeled)]
    found = [{**row, "answer": answers[_plain(row["problem"])]} for row in rows if _plain(row["problem"]) in answers]
    return found, len(rows) - len(found)


def _plain(question: object) -> str:
    return " ".join(str(question).split())


def main(labeled: Path, problems: Path, out: Path, question: str = "question", answer: str = "answer") -> None:
    """``question`` and ``answer``: columns of ``problems``."""
    found, missing = with_answers(labeled, problems, question, answer)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8")
    print(f"{out}: {len(found)} rows; {missing} left out, no answer found", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
