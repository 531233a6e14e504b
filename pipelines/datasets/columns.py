"""The columns of a data set: those of its rows, and ``kept`` where problem sets have columns carried along."""

import json
from collections.abc import Sequence

import pyarrow as pa

from stepforge.filters import WrongReference
from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.settings.run_file import RunFile, problem_sets
from stepforge.schemas.arrow import arrow_schema
from stepforge.schemas.own_part import is_own
from stepforge.schemas.problem import Problem

KEPT = pa.field("kept", pa.string())


def carries_columns(run: RunFile) -> bool:
    """Whether a problem set of the run names columns to ``keep``, or a filter adds one."""
    added = any(isinstance(part, WrongReference) and part.then != "drop" for part in run.vet)
    return added or any(part.keep or part.row_license for part in problem_sets(run))


def columns_of(run: RunFile, export: Export) -> pa.Schema | None:
    """Return the columns of a data set; None for a format of a user's own, whose code is not imported here."""
    if is_own(export):
        return None
    schema = arrow_schema(export.row)
    return schema.append(KEPT) if carries_columns(run) else schema


def kept_text(problem: Problem) -> str:
    """Return a problem's kept columns as a JSON object."""
    return json.dumps({column.name: column.value for column in problem.kept}, ensure_ascii=False)


def with_kept(table: pa.Table, kept: Sequence[str]) -> pa.Table:
    """Return rows with their problems' kept columns, the last of all."""
    return table.append_column(KEPT, pa.array(kept, KEPT.type))
