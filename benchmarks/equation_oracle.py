"""The oracle on any text, against people: steps judged by their equations, compared with ProcessBench's labels.

    python benchmarks/equation_oracle.py --labels processbench_gsm8k.jsonl --answers gsm8k_test.jsonl

The truth of a problem is read from the ``<<a*b=c>>`` of GSM8K's worked answer; problems without one are judged by false
equations and by the question's numbers alone. Steps after the labeled error are left out: people did not label them.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from stepforge.labelers.oracle import judge
from stepforge.schemas.problem import Problem, Quantity, Truth
from stepforge.schemas.rollout import Step

EQUATION = re.compile(r"<<([^<>=]*)=([^<>=]*)>>")


def problem_of(question: str, worked: str | None) -> Problem:
    """Return the problem with the truth of its worked answer."""
    found = EQUATION.findall(worked or "")
    quantities = tuple(Quantity(name=f"e{i}", expression=a, value=b) for i, (a, b) in enumerate(found, start=1))
    return Problem(
        id="p",
        source="gsm8k",
        domain="word problems",
        question=question,
        answer=worked.rpartition("####")[2].strip().replace(",", "") if worked else None,
        answer_kind="math",
        group="p",
        truth=Truth(quantities=quantities, reading="equations"),
    )


def step_counts(rows: list[dict[str, Any]], worked: dict[str, str]) -> Counter[tuple[bool, str, bool]]:
    """Count steps by (has a worked answer, the oracle's class, whether people call it the first error)."""
    counts: Counter[tuple[bool, str, bool]] = Counter()
    for row in rows:
        answer, error = worked.get(_key(row["problem"])), row["label"]
        classes = judge(problem_of(row["problem"], answer), tuple(Step(text=f"{step}\n") for step in row["steps"]))
        shown = classes if error < 0 else classes[: error + 1]
        counts.update((answer is not None, found, i == error) for i, found in enumerate(shown))
    return counts


def _key(question: str) -> str:
    return " ".join(question.split())


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, help="rows with problem, steps and label")
    parser.add_argument("--answers", type=Path, required=True, help="rows with question and answer")
    arguments = parser.parse_args()
    worked = {_key(row["question"]): row["answer"] for row in _rows(arguments.answers)}
    counts = step_counts(_rows(arguments.labels), worked)
    for known in (True, False):
        print("with a worked answer" if known else "without")
        for found in ("right", "unknown", "wrong", "repaired"):
            right, wrong = counts[known, found, False], counts[known, found, True]
            print(f"  oracle says {found:>8}: people agree it is right {right:4}, call it the first error {wrong:4}")


if __name__ == "__main__":
    main()
