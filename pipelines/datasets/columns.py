"""The columns of a data set: those of its rows, followed by facts about each row's problem.

``kept`` comes last, if problem sets keep columns.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from stepforge.filters import WrongReference
from stepforge.generators.families.templates import Templates
from stepforge.generators.problem_sets import LICENSE, ProblemSet
from stepforge.generators.written import ModelSource
from stepforge.pipelines.exports.contract import Export, generation_model
from stepforge.pipelines.settings.run_file import RunFile, problem_sets
from stepforge.schemas.arrow import array_of, arrow_schema
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.own_part import import_path
from stepforge.schemas.record import Record

OWN_LICENSE = "apache-2.0"
"""Of the problem families: problems and truths are written by the project."""
KEPT = pa.field("kept", pa.string())


class ProblemColumns(Record):
    problem_source: str
    """The family or the problem set."""
    license: str
    """The row's own, else that of the source; ``unknown`` if a problem set gives none."""
    generation_model: str
    pass_rate: float | None
    """Share of right answers among the problem's solutions."""
    parents: tuple[str, ...]
    """Ids of the problems that this one was made from; empty for an original."""


class About(NamedTuple):
    licenses: Mapping[str, str]
    """By problem source."""
    carries: bool
    """Whether a problem set names columns to ``keep``, or a filter adds one."""

    @classmethod
    def of(cls, run: RunFile) -> "About":
        found = [source_of(part) for part in run.generate]
        worded = {f"{source.name}_{wording}": source.license for source in found for wording in ("free", "long")}
        added = any(isinstance(part, WrongReference) and part.then != "drop" for part in run.vet)
        carries = added or any(part.keep or part.row_license for part in problem_sets(run))
        return cls(worded | {source.name: source.license for source in found}, carries)

    def columns(self, problem: LabeledProblem) -> dict[str, object]:
        own = next((column.value for column in problem.problem.kept if column.name == LICENSE), None)
        about = ProblemColumns(
            problem_source=problem.problem.source,
            license=own or self.licenses.get(problem.problem.source, "unknown"),
            generation_model=generation_model(problem),
            pass_rate=problem.pass_rate,
            parents=problem.problem.lineage.parents if problem.problem.lineage else (),
        ).model_dump()
        if not self.carries:
            return about
        kept = {column.name: column.value for column in problem.problem.kept}
        return {**about, KEPT.name: json.dumps(kept, ensure_ascii=False)}


class Source(NamedTuple):
    name: str
    """Of the family or the problem set; free and long wording add ``_free`` and ``_long``."""
    where: str
    license: str
    """``unknown`` if a problem set tells none, or for a part of the user's own."""


def source_of(part: Any) -> Source:
    if isinstance(part, ModelSource):
        seeds = source_of(part.seeds)
        return Source(part.label, f"{part.kind}: by a model from seeds of {seeds.name}", seeds.license)
    if isinstance(part, Templates):
        return Source(part.label, "drawn from a folder of templates", part.license or "unknown")
    if isinstance(part, ProblemSet):
        where = f"{part.hub}, revision {part.revision or 'not pinned'}" if part.hub else "a file"
        return Source(part.label, where, part.license or "unknown")
    if import_path(part):
        return Source(part.kind, "a generator of the user's own", "unknown")
    return Source(part.kind, "procedural, written by stepforge", OWN_LICENSE)


def with_columns(table: pa.Table, export: Export, about: Sequence[Mapping[str, object]]) -> pa.Table:
    for field in columns_of(export, carries=KEPT.name in about[0]):
        if field.name not in table.column_names:
            table = table.append_column(field, array_of([row[field.name] for row in about], field.type))
    return table


def columns_of(export: Export, *, carries: bool) -> pa.Schema:
    own = arrow_schema(export.row_class)
    added = [field for field in arrow_schema(ProblemColumns) if field.name not in own.names]
    return pa.schema([*own, *added, *([KEPT] if carries else [])])
