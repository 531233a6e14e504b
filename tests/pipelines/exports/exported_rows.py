"""Rows of every export, from one scripted run."""

from typing import Any

from scripted_rows import scripted_rows

from stepforge.labelers import MathShepherd
from stepforge.pipelines.exports import EXPORTS, AnyExport
from stepforge.schemas.labeled import LabeledProblem

WITHOUT_ROWS = {"repairs"}
"""Only programs are repaired, and these problems have none."""
WITH_ROWS = [part for part in EXPORTS if part().kind not in WITHOUT_ROWS]
ROWS = scripted_rows([MathShepherd(k=8)], 24)


def rows_of(part: AnyExport, rows: list[LabeledProblem] = ROWS) -> list[Any]:
    return [row for problem in rows for row in part.rows(problem)]
