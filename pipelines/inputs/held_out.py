"""Reading and indexing held-out sets, and finding which problems they also contain."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from stepforge.filters import Contamination, HeldOut
from stepforge.filters.held_out import HeldOutIndex
from stepforge.generators.columns import OTHER_NAMES, asked_in, check_columns, lookup, stored_under
from stepforge.generators.problem_sets import ProblemSet
from stepforge.pipelines.inputs.problem_files import open_tables
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem


@lru_cache(maxsize=4)  # a worker vets many shards
def held_out_index(part: Contamination) -> HeldOutIndex:
    return HeldOutIndex([_questions(held_out) for held_out in part.against], part.ways, part.alike)


def held_out_hits(filters: Sequence[object], problems: Iterable[Problem]) -> dict[str, str]:
    """Return problem id -> where it is held out and how, for filters that need it."""
    indexes = [held_out_index(part) for part in filters if isinstance(part, Contamination)]
    found: dict[str, str] = {}
    for problem in problems if indexes else ():
        hit = next((hit for index in indexes if (hit := index.find(problem.question)) is not None), None)
        if hit is not None:
            found[problem.id] = hit
    return found


def _questions(held_out: HeldOut) -> tuple[str, list[str]]:
    asked = held_out.question or "question"
    part = ProblemSet(**held_out.model_dump(exclude={"question", "name"}), question=asked)
    questions = []
    for file, table in open_tables(part)[0]:
        names = ("question", *OTHER_NAMES["question"])
        column = held_out.question or next((n for n in names if stored_under(n, table.columns) in table.columns), asked)
        if table.columns:
            check_columns({"question": column}, table.columns, file)
        for raw in table.read(0, (stored_under(column, table.columns),)):
            question = None if raw.reason else asked_in(lookup(raw.row, column))
            if not isinstance(question, str) or not question.strip():
                why = raw.reason or f"no text in column {column!r}"
                raise BadInput(f"{file}, row {raw.number}: {why}; remove the row, or name the column as `question`")
            questions.append(question)
    if not questions:
        raise BadInput(f"{held_out.path or held_out.hub}: no question in this held-out set")
    return held_out.label, questions
