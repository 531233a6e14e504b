"""Rows that supply solutions of one problem become one problem, wherever they stand in the file."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import row_files
from row_files import items, write_jsonl

from stepforge.generators.problem_sets import SourceItem
from stepforge.pipelines.inputs.problem_files import ProblemSource
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Rejected

ROWS: list[dict[str, object]] = [
    {"q": f"What is {i // 3} + 1?", "a": str(i // 3 + 1), "s": f"solution {i}", "id": i // 3} for i in range(1800)
]


def opened(path: Path, rows: Sequence[dict[str, object]], **settings: object) -> ProblemSource:
    write_jsonl(path, rows)
    return row_files.opened(path, question="q", answer="a", solution="s", **settings)


def solutions(source: ProblemSource, start: int = 0, stop: int | None = None) -> list[list[str]]:
    return [[s.text for s in item.solutions] for item in items(source, start, stop)]


@pytest.mark.parametrize("settings", [{}, {"id": "id"}])
def test_neighbors_and_far_rows_are_one_problem(tmp_path: Path, settings: dict[str, str]) -> None:
    neighbors = opened(tmp_path / "a.jsonl", ROWS, **settings)
    count = neighbors.check()
    assert (count.rows, count.problems, count.merged, count.solutions, count.rejected) == (1800, 600, 1200, 1800, 0)
    assert solutions(neighbors, 598) == [[f"solution {i}" for i in range(first, first + 3)] for first in (1794, 1797)]
    far = opened(tmp_path / "b.jsonl", [ROWS[i] for part in range(3) for i in range(part, 1800, 3)], **settings)
    assert len(far) == 600
    assert solutions(far) == solutions(neighbors)
    assert solutions(far, 300, 302) == solutions(neighbors, 300, 302)
    ids = [[item.problem.id[2:] for item in items(source, 0, 9)] for source in (far, neighbors)]
    assert ids[0] == ids[1]


def test_a_limit_counts_problems(tmp_path: Path) -> None:
    source = opened(tmp_path / "a.jsonl", ROWS, limit=5)
    assert (len(source), len(solutions(source, 0, 99))) == (5, 5)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (
            {"q": "What is 9 + 9?"},
            {"id": "id"},
            r"row 4: id \(column 'id'\) is that of a.jsonl, row 1, which asks another",
        ),
        ({"a": "5"}, {}, "row 4: question is that of a.jsonl, row 1, whose answer is another"),
        ({"s": ["x", 7]}, {}, "row 4, solution"),
    ],
)
def test_rows_that_contradict_each_other(
    tmp_path: Path, change: dict[str, object], settings: dict[str, str], message: str
) -> None:
    rows = [ROWS[0], ROWS[1], ROWS[3], {**ROWS[2], **change}, ROWS[4]]
    with pytest.raises(BadInput, match=message):
        opened(tmp_path / "a.jsonl", rows, **settings).check()
    source = opened(tmp_path / "a.jsonl", rows, on_bad_row="reject", **settings)
    count = source.check()
    assert (count.rows, count.problems, count.merged, count.rejected) == (5, 2, 2, 1)
    first, second, third = source.rows(0, 9)
    assert [len(item.solutions) for item in (first, second) if isinstance(item, SourceItem)] == [2, 2]
    assert isinstance(third, Rejected)


def test_rows_may_add_problems_and_not_solutions_of_problems_that_were_there(tmp_path: Path) -> None:
    before = opened(tmp_path / "a.jsonl", ROWS[:6]).prints()
    assert opened(tmp_path / "a.jsonl", ROWS[:9]).goes_on_from(before)
    assert not opened(tmp_path / "a.jsonl", [*ROWS[:6], ROWS[0]]).goes_on_from(before)
