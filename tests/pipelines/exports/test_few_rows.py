"""Data sets of 0, 1 and 2 rows, and empty splits: ``load_dataset`` reads what there is and fails for none."""

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from scripted_rows import exported_run, scripted_rows

from stepforge.labelers import Contrast, MathShepherd
from stepforge.pipelines.datasets.writer import rows_by_split
from stepforge.pipelines.exports import EXPORTS, KTO, AnyExport, Preference, Reflection, RLPrompts
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Repair


def repaired(row: LabeledProblem) -> LabeledProblem:
    """Return a row whose solutions were mended; no verifier says anything of a scripted one."""
    mended = Repair(message="no", prompt="p", text="t", outcome="correct", finish="stop", tokens=1)
    solutions = [
        s.model_copy(update={"rollout": s.rollout.model_copy(update={"repair": mended})}) for s in row.solutions
    ]
    return row.model_copy(update={"solutions": tuple(solutions)})


@cache
def some_rows() -> list[LabeledProblem]:
    return [repaired(row) for row in scripted_rows([MathShepherd(k=8), Contrast()], 24)]


NEEDS_TWO = ("step_preference", "step_dpo", "pairwise", "reflection", "preference", "kto", "short_long")
"""Exports that set solutions or steps beside each other."""


ONE_ROW = {"max_per_problem": 1, "min_ratio": 1.01}
"""Settings under which a problem gives one row, if any."""


def one_solution(row: LabeledProblem) -> LabeledProblem:
    return row.model_copy(update={"solutions": row.solutions[:1], "evidence": (), "further": ()})


def without_values(row: LabeledProblem) -> LabeledProblem:
    solutions = tuple(s.model_copy(update={"labels": (None,) * len(s.labels)}) for s in row.solutions)
    return row.model_copy(update={"solutions": solutions})


def loads(layout: Layout, name: str, cache: Path) -> int:
    """Load a data set as its card says, and return its rows, the same as were written."""
    datasets = pytest.importorskip("datasets")
    written = {split: rows for split, rows in rows_by_split(layout, name).items() if rows}
    assert {path.name.partition("-")[0] for path in (layout.datasets / name).glob("*.parquet")} == set(written)
    loaded = datasets.load_dataset(str(layout.datasets), name, cache_dir=str(cache))
    assert {split: loaded[split].num_rows for split in loaded} == written
    return sum(written.values())


def test_a_run_without_rows_has_no_data_set(tmp_path: Path) -> None:
    run, layout = exported_run(tmp_path, [], [part() for part in EXPORTS])
    assert not any(sum(rows_by_split(layout, part.name).values()) for part in run.export)
    assert not list(layout.datasets.rglob("*.parquet"))


@pytest.mark.parametrize("count", [1, 2])
def test_every_export_with_few_rows(count: int, tmp_path: Path) -> None:
    """Exports that get so many rows from the same problems share a run."""
    runs: dict[tuple[bool, tuple[int, ...]], list[AnyExport]] = defaultdict(list)
    given = {True: some_rows(), False: [one_solution(row) for row in some_rows()]}
    for kind in EXPORTS:
        part: AnyExport = kind(**{name: value for name, value in ONE_ROW.items() if name in kind.model_fields})
        two = part.kind in NEEDS_TWO
        chosen = [i for i, row in enumerate(given[two]) if len(list(part.rows(row))) == 1][:count]
        assert len(chosen) == count, part.kind
        runs[two, tuple(chosen)].append(part)
    for number, ((two, places), parts) in enumerate(runs.items()):
        _, layout = exported_run(tmp_path / str(number), [given[two][i] for i in places], parts)
        assert {part.kind: loads(layout, part.name, tmp_path / "cache") for part in parts} == {
            part.kind: count for part in parts
        }


def test_an_empty_data_set_spoils_no_other(tmp_path: Path) -> None:
    """Without a belief or a fixed number of completions there is no value, and so no ``soft_stepwise``."""
    datasets = pytest.importorskip("datasets")
    bare = [without_values(row) for row in some_rows()[:6]]
    _, layout = exported_run(tmp_path, bare, [part() for part in EXPORTS])
    there = datasets.get_dataset_config_names(str(layout.datasets))
    assert "soft_stepwise" not in there
    assert "stepwise" in there
    assert all(loads(layout, name, tmp_path / "cache") for name in ("stepwise", there[-1]))


@pytest.mark.parametrize("count", [0, 1])
def test_every_layout_with_few_rows(count: int, tmp_path: Path) -> None:
    layouts = RLPrompts.model_fields["layout"].annotation, Chat.model_fields["layout"].annotation
    rl, chat = (get_args(layout) for layout in layouts)
    parts = [
        *(RLPrompts(name=f"rl_{layout}", layout=layout) for layout in rl),
        *(Preference(name=f"pairs_{layout}", chat=True, layout=layout, max_per_problem=1) for layout in chat),
        *(KTO(name=f"kto_{layout}", chat=True, layout=layout) for layout in chat),
        Reflection(chat=True, min_margin=-1),
    ]
    rows = [row for row in some_rows() if list(Preference().rows(row))][:count]
    _, layout = exported_run(tmp_path, rows, parts)
    for part in parts:
        written = sum(rows_by_split(layout, part.name).values())
        assert (written > 0) is (count > 0) or part.kind == "reflection"
        assert (layout.datasets / part.name / "__init__.py").exists() is (part.name == "rl_verifiers" and count > 0)
        assert not written or loads(layout, part.name, tmp_path / "cache") == written
