"""Shards are whole or not there; damage is never read as data; every record class survives the round trip."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import a_problem, a_solution, solved

from stepforge.generators.families import ALL_FAMILIES
from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.storage.shards import (
    VALUES_FREE,
    VALUES_PER_BYTE,
    read_columns,
    read_rows,
    read_shard,
    shard_metadata,
    write_shard,
)
from stepforge.schemas.arrow import arrow_schema, from_table, to_table
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import (
    Belief,
    Cost,
    Failure,
    LabeledProblem,
    LabeledSolution,
    LabelerCost,
    Rejected,
    StepLabel,
    Verdict,
)
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem, Start, Step


def problems(count: int) -> list[Problem]:
    part = ALL_FAMILIES[0]()
    return [part.item(3, i) for i in range(count)]


def test_records_come_back_equal(tmp_path: Path) -> None:
    rows = problems(50)
    write_shard(tmp_path / "a.parquet", rows, Problem, {"seed": 3})
    assert read_shard(tmp_path / "a.parquet", Problem) == rows
    metadata = shard_metadata(tmp_path / "a.parquet")
    digest = metadata.pop("digest")
    assert metadata == {"seed": 3, "rows": 50}
    write_shard(tmp_path / "b.parquet", rows, Problem, {"seed": 4})
    write_shard(tmp_path / "c.parquet", rows[::-1], Problem, {"seed": 3})
    write_shard(tmp_path / "d.parquet", rows, Problem, {"seed": 3, "source": "another shard"})
    digests = [shard_metadata(tmp_path / f"{name}.parquet")["digest"] for name in "bcd"]
    assert digests[0] == digest
    assert len({digest, *digests}) == 3
    assert read_columns(tmp_path / "a.parquet", ["id"])["id"] == [p.id for p in rows]


def test_long_solutions_that_are_all_the_same_are_read(tmp_path: Path) -> None:
    """They pack into a file so small that the limit on repeated values must tell them from a bomb."""
    ids = tuple(range(1_600))
    step = Step(text="a", token_ids=ids, token_logprobs=(-0.5,) * len(ids))
    same = a_solution("s", "a", "correct").model_copy(update={"steps": (step,)})
    row = solved(*[same] * 64)
    write_shard(tmp_path / "a.parquet", [row] * 8, SolvedProblem, {})
    size = (tmp_path / "a.parquet").stat().st_size
    assert 8 * 64 * 2 * len(ids) > VALUES_FREE + VALUES_PER_BYTE * size
    assert sum(read == row for read in read_rows(tmp_path / "a.parquet", SolvedProblem)) == 8


@pytest.mark.parametrize(
    "record", [Problem, SolvedProblem, LabeledProblem, Failure, Rejected, *(part.row for part in EXPORTS)]
)
def test_schemas_are_what_they_were(record: type[Record]) -> None:
    """The golden file pins what lies on disk: a change here changes what users read."""
    golden = Path(__file__).parents[2] / "golden" / f"{record.__name__}.schema.txt"
    text = arrow_schema(record).to_string(truncate_metadata=False) + "\n"
    if os.environ.get("STEPFORGE_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), "set STEPFORGE_WRITE_GOLDEN=1 to accept a change on purpose"


def test_a_row_of_another_shape_is_refused() -> None:
    table = to_table([a_problem()], Problem)
    with pytest.raises(ValueError, match="Field required"):
        from_table(table.drop_columns(["question"]), Problem)


def test_a_column_that_an_earlier_version_did_not_write_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_shard(path, [solved(a_solution("s", "", "wrong"))], SolvedProblem, {})
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["searched"]), path, write_page_checksum=True)
    (row,) = read_shard(path, SolvedProblem)
    assert row.searched == ()
    pq.write_table(table.drop_columns(["policy"]), path, write_page_checksum=True)
    with pytest.raises(RunFailed, match="columns are not those"):
        read_shard(path, SolvedProblem)


def test_rows_missing_from_a_valid_file_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_shard(path, problems(5), Problem, {})
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 3), path, write_page_checksum=True)
    with pytest.raises(RunFailed, match="3 rows where 5 were written"):
        read_shard(path, Problem)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(TypeError):
        write_shard(path, problems(1), Problem, {"not json": object()})
    assert list(tmp_path.iterdir()) == []


def labeled_rows() -> list[LabeledProblem]:
    """Rows with everything that may be missing: starts, labels, beliefs, posteriors, truths, log-probabilities."""
    base = solved(a_solution("s", "AB", "wrong"), a_solution("", "", "undetermined"), problem=a_problem(answer=None))
    belief = Belief(value=0.5, low=0.0, high=1.0, p_error=0.25)
    labels = (None, StepLabel(successes=1, failures=2, belief=belief))
    posterior = Verdict(
        labeler="x", first_error=None, abstained=True, posterior=(0.25, 0.25, 0.5), classes=("right", "unknown")
    )
    first = LabeledSolution(rollout=base.rollouts[0], labels=labels, verdict=posterior, targets=(None, 1.0))
    plain = LabeledSolution(rollout=base.rollouts[1], labels=(), verdict=Verdict(labeler="x", first_error=None))
    later = a_solution("e", "C", "correct").model_copy(update={"start": Start(rollout="s", steps=1)})
    step = Step(text="\u00e9\n", token_ids=(1, 2), logprob=-0.5, lowest_logprob=-0.25)
    rows = [
        LabeledProblem(problem=base.problem, solutions=(first, plain), evidence=(), policy=base.policy, costs=()),
        LabeledProblem(
            problem=problems(1)[0],
            solutions=(first,),
            evidence=(later, later.model_copy(update={"steps": (step,)})),
            policy=base.policy,
            costs=(LabelerCost(labeler="x", cost=Cost(rollouts=1)),),
        ),
    ]
    return rows * 3


class Columns(Record):
    """Every kind of column there is."""

    text: str | None
    flag: bool | None
    count: int | None
    shares: tuple[float | None, ...]
    parts: tuple[Start, ...] | None
    start: Start | None


START = Start(rollout="\u00e9", steps=3)
FULL = Columns(text="a\u20ac", flag=True, count=-7, shares=(0.5, None), parts=(START, START), start=START)
EMPTY = Columns(text=None, flag=None, count=None, shares=(), parts=None, start=None)


@pytest.mark.parametrize("rows", [[], [FULL], [EMPTY], [FULL, EMPTY, FULL] * 5, labeled_rows(), labeled_rows()[:1]])
def test_columns_are_what_the_rows_as_dicts_would_make(rows: list[Record]) -> None:
    record = type(rows[0]) if rows else LabeledProblem
    expected = pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(record))
    table = to_table(rows, record)
    table.validate(full=True)
    assert table.equals(expected, check_metadata=True)
    assert from_table(table, record) == rows


def test_columns_are_made_without_an_import_of_pandas() -> None:
    code = "import sys; from stepforge.schemas import arrow, rollout as r; s = r.Start(rollout='a', steps=1); "
    code += "arrow.to_table([s], r.Start); sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
