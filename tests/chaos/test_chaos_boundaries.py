"""A crash, or an error of the file system, at every open, write, fsync, rename and unlink of a run."""

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from chaos import Attempt, Reference, run
from chaos_files import CRASH, install

FLUSH_SECONDS = 0.05
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run of three shards, and the names of all its operations on files."""
    folder = tmp_path_factory.mktemp("boundaries")
    reference = Reference(folder, problems=5, rows=2, fit_problems=3, latency=10)
    log = folder / "operations"
    run(
        reference.run_file,
        folder / "watched",
        prepare=partial(install, folder / "watched", log, "", None, FLUSH_SECONDS),
    )
    return SimpleNamespace(reference=reference, operations=log.read_text().splitlines())


def interrupted(small: SimpleNamespace, folder: Path, at: str, error: int | None) -> tuple[int, str, bool]:
    """Do a run with a fault, then without; return the first one's exit code and words, and if it met the fault."""
    out, log = folder / "out", folder / "operations"
    shutil.rmtree(out, ignore_errors=True)
    fault = partial(install, out, log, at, error, FLUSH_SECONDS)
    attempt = Attempt("run", small.reference.run_file, "--out", out, "--quiet", out=folder / "said", prepare=fault)
    code = attempt.wait()
    run(small.reference.run_file, out)
    small.reference.check(out)
    return code, attempt.said, at in log.read_text().splitlines()


def some(operations: Sequence[str], count: int | None) -> list[str]:
    """Return that many, spread over all of them."""
    if count is None:
        return list(operations)
    step = len(operations) / count
    return [operations[int(Random(count + i).random() * step + i * step)] for i in range(count)]


@pytest.mark.parametrize("count", [6, pytest.param(None, marks=[pytest.mark.soak, pytest.mark.timeout(5400)])])
def test_a_crash_at_any_operation_is_resumed(
    small: SimpleNamespace, tmp_path: Path, count: int | None, tell: Callable[[str], None]
) -> None:
    met: Counter[str] = Counter()
    missed = 0
    for at in some(small.operations, count):
        code, said, happened = interrupted(small, tmp_path, at, None)
        assert code == (CRASH if happened else 0), said
        met[at.split()[0]] += happened
        missed += not happened
    assert missed <= max(1, 0.1 * len(some(small.operations, count)))  # under load an operation may not come up again
    tell(
        f"crashed at {met.total()} of {len(small.operations)} operations on files ({missed} did not come up again), "
        f"each resumed to identical bytes: {dict(met.most_common())}"
    )


@pytest.mark.parametrize("count", [1, pytest.param(None, marks=[pytest.mark.soak, pytest.mark.timeout(10800)])])
@pytest.mark.parametrize("error", ERRORS, ids=lambda number: errno.errorcode[number])
def test_an_error_at_any_operation_is_named(
    small: SimpleNamespace, tmp_path: Path, count: int | None, error: int, tell: Callable[[str], None]
) -> None:
    ended: Counter[int] = Counter()
    commit = next(at for at in small.operations if at.startswith("replace") and "part-00000.parquet" in at)
    for at in dict.fromkeys([commit, *some(small.operations, count)]):  # others may be tidying up, which goes on
        code, said, happened = interrupted(small, tmp_path, at, error)
        assert "Traceback" not in said, f"{at}: {said}"
        if code:
            assert happened
            assert f"stepforge: {tmp_path / 'out'}" in said, f"{at}: {said}"
            assert os.strerror(error) in said, f"{at}: {said}"
        ended[code] += happened
    assert ended[1] > 0
    tell(
        f"{errno.errorcode[error]} at {ended.total()} operations: one line naming the path, exit code 1 {ended[1]}x, "
        f"2 {ended[2]}x, borne {ended[0]}x (tidying up); all resumed to identical bytes"
    )
