"""Rows of every export, from one scripted run; and a problem with a right and a wrong solution, labeled."""

import asyncio
from typing import Any

from fakes import EqualGrader, KnownPolicy, a_solution, solved
from scripted_rows import scripted_rows

from stepforge.labelers import AnyPart, MathShepherd, label_with_all
from stepforge.pipelines.exports import EXPORTS, AnyExport, Stepwise
from stepforge.schemas.labeled import LabeledProblem

WITHOUT_ROWS = {"repairs"}
"""Only programs are repaired, and these problems have none."""
WITH_ROWS = [part for part in EXPORTS if part().kind not in WITHOUT_ROWS]
ROWS = scripted_rows([MathShepherd(k=8)], 24)


def rows_of(part: AnyExport, rows: list[LabeledProblem] = ROWS) -> list[Any]:
    return [row for problem in rows for row in part.rows(problem)]


STEPWISE = {row.solution_id: row for row in rows_of(Stepwise())}


def labeled(*parts: AnyPart, error: int = 2, high: float = 0.9, low: float = 0.0, tokens: int = 6) -> LabeledProblem:
    """Label `abc`, right, and `ABCDEF`, wrong; the policy succeeds in ``high`` before the error, then in ``low``."""
    broken = "".join(f"{letter}\n" for letter in "ABCDEF"[: error + 1])
    policy = KnownPolicy(lambda prefix: low if prefix.startswith(broken) else high)
    bad = a_solution("bad", "ABCDEF", "wrong").model_copy(update={"tokens": tokens})
    row = solved(a_solution("good", "abc", "correct"), bad)
    return asyncio.run(label_with_all(parts, row, policy, EqualGrader(), seed=1))
