"""Columns that a problem set carries along reach every row of every data set and its card."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from run_files import a_run
from small_run import labeled, small_run

from stepforge.generators.problem_sets import ProblemSet
from stepforge.pipelines.datasets.columns import OWN_LICENSE, About, columns_of
from stepforge.pipelines.datasets.shard_parts import read_part, write_part
from stepforge.pipelines.datasets.splits import SPLITS
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.exports import KTO, Stepwise
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import KeptColumn


def with_columns(number: int) -> LabeledProblem:
    row = labeled(number)
    kept = (KeptColumn(name="url", value=f"https://example.org/{number}"), KeptColumn(name="tag", value="é"))
    return row.model_copy(update={"problem": row.problem.model_copy(update={"kept": kept})})


def test_every_row_carries_the_columns_of_its_own_problem(tmp_path: Path) -> None:
    rows = [with_columns(number) for number in range(5)]
    for export in (Stepwise(), KTO()):
        write_part(tmp_path / "part.zip", rows, [export], 0.5, About({"s": "mit"}, carries=True))
        tables = [table for split in SPLITS for table in read_part(tmp_path / "part.zip", export, split)]
        found = [row for table in tables for row in table.to_pylist()]
        assert len(found) >= 5
        by_name = {row.problem.id: {c.name: c.value for c in row.problem.kept} for row in rows}
        assert all(json.loads(row["kept"]) == by_name[row["problem_id"]] for row in found)
        assert json.loads(found[0]["kept"])["tag"] == "é"


@pytest.mark.parametrize("keep", [(), ("url",)])
def test_files_have_the_columns(tmp_path: Path, keep: tuple[str, ...]) -> None:
    layout = small_run(tmp_path / "run", exports=["stepwise"])
    run, _ = open_run(layout.folder)
    source = run.generate[0].model_copy(update={"keep": keep})
    run = run.model_copy(update={"generate": [source]})
    remade(run, layout)
    folder = Path(str(layout.datasets)) / "stepwise"
    names = [path.name for path in folder.glob("*.parquet")]
    columns = columns_of(run.export[0], carries=bool(keep))
    assert ("kept" in columns.names) is bool(keep)
    assert pq.read_schema(folder / names[0]).names == columns.names


def remade(run: RunFile, layout: Layout) -> None:
    for path in (layout.folder / "exports").glob("*.json"):
        path.unlink()
    export_all(run, layout)


def test_a_license_of_the_row_comes_before_that_of_its_source() -> None:
    row = labeled(1)
    about = About({row.problem.source: "mit"}, carries=False)
    assert about.columns(row)["license"] == "mit"
    own = row.problem.model_copy(update={"kept": (KeptColumn(name="license", value="cc-by-4.0"),)})
    assert about.columns(row.model_copy(update={"problem": own}))["license"] == "cc-by-4.0"


@pytest.mark.parametrize("names", [("easy", "easy_free"), ("easy_free", "easy")])
def test_a_set_whose_name_ends_in_free_keeps_its_own_license(names: tuple[str, str]) -> None:
    sets = [ProblemSet(name=name, path=f"{name}.jsonl", license=f"license of {name}") for name in names]
    licenses = About.of(a_run(generate=[*sets, {"kind": "quantities"}])).licenses
    assert all(licenses[name] == f"license of {name}" for name in names)
    assert licenses["quantities"] == licenses["quantities_free"] == licenses["quantities_long"] == OWN_LICENSE
