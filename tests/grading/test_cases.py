"""A table of references, responses and the verdicts that are right, by kind of answer."""

import asyncio
import json
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from stepforge.grading.final_answer import extract_answer, reference_answer
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Outcome

TABLE = [json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text().splitlines()]
KINDS = sorted({row["kind"] for row in TABLE})


@cache
def verdicts() -> list[Outcome]:
    """Grade the whole table once, by one grader."""

    async def work() -> list[Outcome]:
        async with PooledGrader(processes=2) as grader:
            graded = await asyncio.gather(
                *(grader.grade(problem(str(i), row["answer"]), [extract_answer(row["response"])])
                  for i, row in enumerate(TABLE))
            )  # fmt: skip
            return [outcome for (outcome,) in graded]

    return asyncio.run(work())


def problem(name: str, answer: str) -> Problem:
    return Problem(
        id=name, source="", domain="", question="", answer=reference_answer(answer), answer_kind="math", group=name
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_of_a_kind_gets_a_right_verdict(kind: str) -> None:
    wrong = [
        f"{row['answer']!r} and {row['response'][-80:]!r}: {verdict}, not {row['expected']}"
        for row, verdict in zip(TABLE, verdicts(), strict=True)
        if row["kind"] == kind and verdict not in row["expected"].split("|")
    ]
    assert not wrong, "\n".join(wrong)


def test_what_may_be_called_correct_is_seldom_left_open() -> None:
    """A grader that answers ``undetermined`` to everything would pass the table where that is accepted as well."""
    counts: defaultdict[bool, Counter[str]] = defaultdict(Counter)
    for row, verdict in zip(TABLE, verdicts(), strict=True):
        expected = row["expected"].split("|")
        if "correct" in expected:
            counts[expected == ["correct"]][verdict] += 1
    assert counts[True]["correct"] == counts[True].total()
    assert counts[False]["correct"] > 30
