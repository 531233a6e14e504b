"""A kill costs seconds of engine work, however long a tree takes: what was answered is not asked again."""

import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos import Attempt, Reference, crashed, run
from chaos_runs import write_run
from faulty_engine import Faults
from run_files import write_run_file

LATENCY = 0.02
LIMIT_SECONDS = 30.0


def count_requests(log: Path, flush_seconds: float, faults: Faults | None = None) -> None:
    """Make this process's engines count what they are asked, a byte for each request."""
    from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
    from stepforge.pipelines.storage import journal

    complete, counter = ScriptedEngine.complete, log.open("ab", buffering=0)

    async def counted(self: ScriptedEngine, *arguments: Any, **options: Any) -> Any:
        counter.write(b".")
        return await complete(self, *arguments, **options)

    ScriptedEngine.complete = counted  # type: ignore[method-assign]
    journal.FLUSH_SECONDS = flush_seconds
    if faults is not None:
        faults()


def one_tree(folder: Path, requests: int) -> Path:
    """One problem; from its first wrong step on nothing succeeds, so the walk asks ``k`` times, one after the other."""
    return write_run_file(
        folder,
        seed=3,
        problems=1,
        max_failure_share=1.0,
        engine={"error_rate": 0.5, "recovery_rate": 0.0, "latency_ms": LATENCY * 1000},
        policy={"answer": "stated"},
        workers={"gpus_per_engine": 0, "max_restarts": 20},
        generate=[{"kind": "quantities", "levels": [6]}],
        label=[{"kind": "sequential", "k": requests}],
    )


def evidence(folder: Path) -> bytes:
    return (folder / "labeled" / "part-00000.parquet").read_bytes()


@pytest.mark.parametrize(
    ("requests", "kills", "slower"),
    [(150, 4, 10), pytest.param(3000, 10, 1, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_a_kill_costs_seconds_of_engine_work(
    tmp_path: Path, requests: int, kills: int, slower: int, tell: Callable[[str], None]
) -> None:
    """In CI time runs ten times as fast: the journal is written down, and the limit is, every tenth of the time."""
    from stepforge.pipelines.storage.journal import FLUSH_SECONDS

    flush, limit, log = FLUSH_SECONDS / slower, LIMIT_SECONDS / slower, tmp_path / "asked"
    run_file = one_tree(tmp_path, requests)
    run(run_file, tmp_path / "whole", prepare=partial(count_requests, log, flush))
    once = _size(log)
    rng, killed = Random(kills), 0
    log.unlink()
    for _ in range(kills):
        until = _size(log) + rng.randint(5, int(1.5 * once / kills))
        count = partial(count_requests, log, flush)
        attempt = Attempt("run", run_file, "--out", tmp_path / "out", out=tmp_path / "said", prepare=count)
        while _size(log) < until and attempt.process.exitcode is None:
            time.sleep(LATENCY / 4)
        killed += attempt.kill()
    run(run_file, tmp_path / "out", prepare=partial(count_requests, log, flush))
    twice = _size(log) - once
    engine_work = twice * LATENCY / kills  # counted in requests, so a slow machine changes nothing
    (session,) = [s for s in sessions(tmp_path / "out") if "label" in s["stages"]]
    assert killed == kills
    assert session["stages"]["label"]["replayed"] > 0
    assert engine_work < limit
    assert evidence(tmp_path / "out") == evidence(tmp_path / "whole")
    tell(
        f"one tree of {once} requests ({once * LATENCY:.0f} s of engine time, journal every {flush:g} s) killed "
        f"{killed} times: {twice} requests asked twice, {engine_work:.2f} s of engine work a kill (limit {limit:g}); "
        f"{session['stages']['label']['replayed']} replayed by the last session"
    )


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def sessions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (folder / "sessions").glob("*.json")]


def test_an_engine_that_dies_all_the_time_gets_through_a_tree(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """It dies after 40 requests, and the tree takes many times as many: each life goes on where the last one ended."""
    log, lives = tmp_path / "asked", 40
    whole = one_tree(tmp_path / "a", 150)
    run(whole, tmp_path / "whole", prepare=partial(count_requests, log, 2.0))
    once = _size(log)
    log.unlink()
    dying = one_tree(tmp_path / "b", 150)
    run(dying, tmp_path / "out", prepare=partial(count_requests, log, 2.0, Faults(dies_after=lives)))
    again = _size(log) - once
    (session,) = sessions(tmp_path / "out")
    replayed = session["stages"]["label"]["replayed"]
    assert once > 3 * lives
    assert again <= once // lives * 4  # those under way when it died: at most one for each of four solutions
    assert replayed > once - 2 * lives
    tell(f"engine dead every {lives} requests in a tree of {once}: {again} asked twice, {replayed} replayed at the end")


def test_foreign_and_torn_journals_change_nothing(tmp_path: Path) -> None:
    reference = Reference(tmp_path, latency=10)
    out, other = tmp_path / "out", tmp_path / "other"
    crashed(reference.run_file, out)
    crashed(write_run(tmp_path / "b", latency=10, seed=9), other)
    journals = sorted(path for path in (out / "journal").iterdir() if any(path.glob("*.frames")))
    assert journals
    for folder in journals:
        (torn,) = folder.glob("*.frames")
        torn.write_bytes(torn.read_bytes()[:-7] + b"torn off")
        (folder / "foreign.frames").write_bytes(b"not a journal at all")
        (folder / "empty.frames").write_bytes(b"")
        for theirs in other.glob("journal/*/*.frames"):
            shutil.copy(theirs, folder / theirs.name)
    said = run(reference.run_file, out)
    reference.check(out)
    assert f"{journals[0]}/foreign.frames: not a journal of this version; ignored" in said
    assert "bytes are incomplete; their content is sampled again" in said
