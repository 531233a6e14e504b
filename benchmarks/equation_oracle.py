"""The oracle on any text, against people: steps judged by their equations, compared with ProcessBench's labels. And
what ``change_point`` reads in steps: false equations, and what the worked answer says.

    python -m benchmarks.equation_oracle --labels processbench_gsm8k.jsonl --answers gsm8k_test.jsonl

The truth of a problem is read from the ``<<a*b=c>>`` of GSM8K's worked answer; problems without one are judged by false
equations and by the question's numbers alone. Steps after the labeled error are left out: people did not label them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from stepforge.labelers.change_point.rates import ALONE, ANSWER, BACKED, FALSE, NOTHING, OTHER
from stepforge.labelers.change_point.statements import stated
from stepforge.labelers.oracle import judge
from stepforge.pipelines.inputs.tables import rows_of
from stepforge.pipelines.scoring.cases import Case, file_cases
from stepforge.schemas.interval import wilson
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


def step_counts(rows: Sequence[Case], worked: dict[str, str]) -> Counter[tuple[bool, str, bool]]:
    """Count steps by (has a worked answer, the oracle's class, whether people call it the first error)."""
    counts: Counter[tuple[bool, str, bool]] = Counter()
    for row in rows:
        answer, error = worked.get(_key(row.problem)), row.label
        classes = judge(problem_of(row.problem, answer), tuple(Step(text=f"{step}\n") for step in row.steps))
        shown = classes if error < 0 else classes[: error + 1]
        counts.update((answer is not None, found, i == error) for i, found in enumerate(shown))
    return counts


def stated_counts(rows: Sequence[Case], worked: dict[str, str]) -> Counter[tuple[str, str, bool]]:
    """Count steps by (what is asked of them, right or first error or after it, whether it is so)."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    for row in rows:
        error = row.label if row.label >= 0 else len(row.steps)
        right = [_lines(answer)] if (answer := worked.get(_key(row.problem))) else []
        for i, kind in enumerate(stated(row.problem, tuple(row.steps), tuple(right))):
            place = "right" if i < error else "first error" if i == error else "after"
            counts["1. states a false equation", place, kind == FALSE] += 1
            if kind not in (FALSE, ANSWER):
                counts["2. of the others but the last: no number, or what was said before", place, kind == NOTHING] += 1
            if kind in (BACKED, ALONE, OTHER) and right:
                counts["3. of the rest: what the worked answer says", place, kind == BACKED] += 1
                if kind != BACKED:
                    counts["4. of the rest: what it does not say", place, kind == ALONE] += 1
    return counts


def _lines(worked: str) -> tuple[str, ...]:
    return tuple(re.split(r"\n|(?<=[.!?])\s+", EQUATION.sub("", worked)))


def _key(question: str) -> str:
    return " ".join(question.split())


def main(labels: Annotated[Path, typer.Option()], answers: Annotated[Path, typer.Option()]) -> None:
    """``labels``: rows with problem, steps and label; ``answers``: rows with question and answer, or MATH's columns."""
    known = [row for _, row in rows_of(answers)]
    worked = {_key(str(r.get("question") or r["problem"])): str(r.get("solution") or r["answer"]) for r in known}
    rows = file_cases(labels)
    counts = step_counts(rows, worked)
    for has_answer in (True, False):
        print("with a worked answer" if has_answer else "without")
        for found in ("right", "unknown", "wrong", "repaired"):
            right, wrong = counts[has_answer, found, False], counts[has_answer, found, True]
            print(f"  oracle says {found:>8}: people agree it is right {right:4}, call it the first error {wrong:4}")
    said = stated_counts(rows, worked)
    for question, place in dict.fromkeys(key[:2] for key in sorted(said)):
        hits, of = said[question, place, True], said[question, place, True] + said[question, place, False]
        low, high = wilson(hits, of)
        print(f"{question}, step {place}: {hits} of {of} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    typer.run(main)
