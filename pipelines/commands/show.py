"""One problem on the terminal: its question, its solutions step by step, the counts and the truth."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.problem_view import solution_text, view_of
from stepforge.pipelines.run_folder.failures import Loss, lost_problems
from stepforge.pipelines.run_folder.rows import ROW_RECORDS, Row, problem_ids
from stepforge.pipelines.storage.layout import shard_index
from stepforge.pipelines.storage.shards import read_row
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem


class Found(NamedTuple):
    row: Row
    lost: Mapping[str, Loss]
    """Why problems of its shard were lost, by id."""


def find_problem(folder: AnyPath, problem_id: str) -> Found:
    _, layout = open_run(folder)
    for stage, record in ROW_RECORDS.items():
        for path in layout.shards(stage):
            ids = problem_ids(layout, stage, shard_index(path))
            if problem_id in ids:
                row = read_row(path, record, ids.index(problem_id))
                return Found(row, lost_problems(layout, shard_index(path)))
    raise BadInput(f"{folder}: no problem {problem_id!r}; `stepforge show {folder}` lists them")


def problem_json(found: Found, problem_id: str) -> dict[str, object]:
    """Return it as data; steps are counted from 0, as in the data sets."""
    loss = found.lost.get(problem_id)
    return {
        "lost": None if loss is None else loss.model_dump(),
        type(found.row).__name__: found.row.model_dump(mode="json"),
    }


def problem_text(found: Found) -> str:
    """Return it as text; steps are counted from 1, as in the card."""
    view = view_of(found.row, found.lost)
    head = "\n".join([*_head(view.problem), *([view.loss] if view.loss else [])])
    cost = [f"cost: {'; '.join(view.costs)}"] if view.costs else []
    return "\n\n".join([head, *map(solution_text, view.solutions), *cost])


def _head(problem: Problem) -> Iterator[str]:
    level = "" if problem.difficulty is None else f", difficulty {problem.difficulty}"
    yield f"{problem.id}  ({problem.domain}{level})\n{problem.question}"
    if problem.answer is not None:
        yield f"reference answer: {problem.answer}"
    if problem.known_solution is not None:
        yield f"a right solution:\n{problem.known_solution.rstrip()}"
    elif problem.truth is not None:
        yield "truth: " + "; ".join(q.statement for q in problem.truth.quantities)
